"""What is wrong with the keys of a state_dict that does not fit, and the line that mends it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Shapes = Mapping[str, tuple[int, ...]]

_SHOWN = 4  # renames that are written out at most


def advice(missing: Sequence[str], unexpected: Sequence[str], own: Shapes, given: Mapping) -> str:
    """Indented lines for the end of an error: what the keys have in common, and the fix.

    ``own``: the shapes that the module wants by key; ``given``: the state_dict. Empty where no
    rule leads from the given keys to the wanted ones.
    """
    if not missing:
        return ""
    for find in (_nested, _prefix, _component, _renamed):
        found = find(list(missing), list(unexpected), own, given)
        if found:
            return "\n  " + found
    return ""


def _shape(value: Any) -> tuple[int, ...] | None:
    shape = getattr(value, "shape", None)
    return None if shape is None else tuple(shape)


def _fits(change: Callable[[str], str], missing: list[str], own: Shapes, given: Mapping) -> bool:
    """Whether the changed keys bring all that is missing, with the right shapes, and no more."""
    changed = {change(k): v for k, v in given.items()}
    return (
        len(changed) == len(given)
        and all(k in changed for k in missing)
        and all(k in own and _shape(v) in (None, own[k]) for k, v in changed.items())
    )


def _nested(missing: list[str], unexpected: list[str], own: Shapes, given: Mapping) -> str:
    """A checkpoint that holds the state_dict among other things."""
    for key, value in given.items():
        if isinstance(value, Mapping) and any(k in own for k in value):
            return f"the tensors are one level deeper: load state_dict[{key!r}]"
    return ""


def _prefix(missing: list[str], unexpected: list[str], own: Shapes, given: Mapping) -> str:
    """One prefix too many, or one too few."""
    for short, long, fix in (
        (missing, unexpected, "{{k.removeprefix({p!r}): v for k, v in state_dict.items()}}"),
        (unexpected, missing, "{{{p!r} + k: v for k, v in state_dict.items()}}"),
    ):
        for key in long:
            prefix = key.removesuffix(short[0]) if short and key.endswith(short[0]) else ""
            if prefix and {prefix + k for k in short} == set(long):
                return f"every key differs by the prefix {prefix!r}: load " + fix.format(p=prefix)
    return ""


def _component(missing: list[str], unexpected: list[str], own: Shapes, given: Mapping) -> str:
    """A wrapper's name in the middle, such as that of a compiled submodule."""
    for part in dict.fromkeys(p + "." for k in unexpected for p in k.split(".")[:-1]):

        def without(key: str, part: str = part) -> str:
            return key.replace(part, "")

        if _fits(without, missing, own, given):
            return (
                f"the keys have {part!r} where the module has nothing (a wrapper?): load "
                f"{{k.replace({part!r}, ''): v for k, v in state_dict.items()}}"
            )
    return ""


def _renamed(missing: list[str], unexpected: list[str], own: Shapes, given: Mapping) -> str:
    """Other names for tensors of the same shapes in the same order."""
    if len(missing) != len(unexpected):
        return ""
    pairs = list(zip(unexpected, missing))
    for old, new in pairs:
        if _shape(given[old]) != own.get(new) or old.split(".")[-1] != new.split(".")[-1]:
            return ""
    start = "the shapes agree in this order, only names differ: load "
    changes = list(dict.fromkeys(_difference(*pair) for pair in pairs))

    def change(key: str) -> str:
        for old, new in changes:
            key = key.replace(old, new)
        return key

    if all(old for old, _ in changes) and _fits(change, missing, own, given):
        chain = "".join(f".replace({old!r}, {new!r})" for old, new in changes[:_SHOWN])
        if len(changes) <= _SHOWN:
            return start + f"{{k{chain}: v for k, v in state_dict.items()}}"
    if len(pairs) <= _SHOWN:
        return start + f"{{{dict(pairs)}.get(k, k): v for k, v in state_dict.items()}}"
    if len(given) == len(own) and all(map(_same_shape, own.values(), given.values())):
        return start + "dict(zip(model.state_dict(), state_dict.values()))"
    return ""


def _same_shape(shape: tuple[int, ...], value: Any) -> bool:
    return _shape(value) == shape


def _difference(old: str, new: str) -> tuple[str, str]:
    """The dotted parts between the common beginning and the common end of two keys."""
    a, b = old.split("."), new.split(".")
    while a and b and a[0] == b[0]:
        del a[0], b[0]
    while a and b and a[-1] == b[-1]:
        del a[-1], b[-1]
    return ".".join(a) + "." if a else "", ".".join(b) + "." if b else ""
