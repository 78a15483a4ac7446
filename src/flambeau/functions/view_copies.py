"""``*_copy``: views whose results have memory of their own."""

from __future__ import annotations

from collections.abc import Callable

from ..core.mutation import accepts_out
from ..core.value import Value
from ..ops import pieces, views


def _copied(function: Callable[..., Value | tuple[Value, ...]], name: str = "") -> Callable:
    """The function that copies what the view ``function`` returns."""

    def copying(*args: object, **kwargs: object) -> Value | tuple[Value, ...]:
        result = function(*args, **kwargs)
        return result.clone() if isinstance(result, Value) else tuple([r.clone() for r in result])

    copying.__name__ = copying.__qualname__ = (name or function.__name__) + "_copy"
    copying.__doc__ = f"What ``{function.__name__}`` returns, in memory of its own."
    return accepts_out(copying)


as_strided_copy = _copied(views.as_strided)
view_as_real_copy = _copied(views.view_as_real)
view_as_complex_copy = _copied(views.view_as_complex)
diagonal_copy = _copied(pieces.diagonal)
narrow_copy = _copied(pieces.narrow)
select_copy = _copied(pieces.select)
slice_copy = _copied(pieces.slice_dim, "slice")
split_copy = _copied(pieces.split)
split_with_sizes_copy = _copied(pieces.split_with_sizes)
unbind_copy = _copied(pieces.unbind)
unfold_copy = _copied(pieces.unfold)
expand_copy = _copied(views.expand)
permute_copy = _copied(views.permute)
squeeze_copy = _copied(views.squeeze)
t_copy = _copied(views.t)
transpose_copy = _copied(views.transpose)
unsqueeze_copy = _copied(views.unsqueeze)
view_copy = _copied(views.view)


def alias_copy(input: Value) -> Value:
    """A copy of ``input``."""
    return input.clone()


def detach_copy(input: Value) -> Value:
    """A copy of ``input`` outside the graph."""
    return input.detach().clone()


__all__ = [
    "alias_copy", "as_strided_copy", "detach_copy", "diagonal_copy", "expand_copy", "narrow_copy",
    "permute_copy", "select_copy", "slice_copy", "split_copy", "split_with_sizes_copy",
    "squeeze_copy", "t_copy", "transpose_copy", "unbind_copy", "unfold_copy", "unsqueeze_copy",
    "view_as_complex_copy", "view_as_real_copy", "view_copy",
]  # fmt: skip
