"""What a convolution's arguments must satisfy, and the sizes that follow from them.

The rules and the words of the errors are PyTorch's (torch.nn.functional.conv2d, conv_transpose2d).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._windows import Pads


def per_dimension(name: str, value: int | Sequence[int], dims: int) -> tuple[int, ...]:
    """`value` for each of `dims` dimensions: an int or a single number stands for all."""
    values = (value,) if isinstance(value, int) else tuple(int(v) for v in value)
    if len(values) == 1:
        return values * dims
    if len(values) != dims:
        raise RuntimeError(
            f"expected {name} to be a single integer value or a list of {dims} values to match "
            f"the convolution dimensions, but got {name}={list(values)}"
        )
    return values


def convolution_settings(
    name: str,
    x: Sequence[int],
    weight: Sequence[int],
    bias: Sequence[int] | None,
    stride: int | Sequence[int],
    padding: int | str | Sequence[int],
    dilation: int | Sequence[int],
    groups: int,
) -> tuple[tuple[int, ...], Pads, tuple[int, ...]]:
    """(stride, padding as pairs, dilation), once the shapes of `name`'s arguments are right.

    x is (N, C, *sizes) or (C, *sizes); weight (O, C / groups, *kernel); bias (O,) or None.
    padding is one int, one for each dimension, "valid" (none) or "same": as much as makes the
    output as large as the input, the odd element at the end.
    """
    dims, x = _batched(name, x, weight)
    stride = per_dimension("stride", stride, dims)
    dilation = per_dimension("dilation", dilation, dims)
    kernel = tuple(weight[2:])
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise RuntimeError(f"Invalid padding string: '{padding}'")
        if padding == "same" and any(s != 1 for s in stride):
            raise RuntimeError("padding='same' is not supported for strided convolutions")
        total = [d * (k - 1) if padding == "same" else 0 for d, k in zip(dilation, kernel)]
        pads = tuple((t // 2, t - t // 2) for t in total)
    else:
        pads = tuple((p, p) for p in per_dimension("padding", padding, dims))
    _check_numbers(stride, pads, dilation, groups, kernel)
    _check_groups(weight, groups)
    if x[1] != weight[1] * groups:
        raise RuntimeError(
            f"Given groups={groups}, weight of size {list(weight)}, expected input{list(x)} to "
            f"have {weight[1] * groups} channels, but got {x[1]} channels instead"
        )
    _check_bias("", weight, bias, weight[0])
    sizes = [n + a + b for n, (a, b) in zip(x[2:], pads)]
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation)]
    if any(n < r for n, r in zip(sizes, reach)):
        raise RuntimeError(
            f"Calculated padded input size per channel: ({_by(sizes)}). "
            f"Kernel size: ({_by(reach)}). Kernel size can't be greater than actual input size"
        )
    return stride, pads, dilation


def transposed_settings(
    name: str,
    x: Sequence[int],
    weight: Sequence[int],
    bias: Sequence[int] | None,
    stride: int | Sequence[int],
    padding: int | Sequence[int],
    output_padding: int | Sequence[int],
    dilation: int | Sequence[int],
    groups: int,
) -> tuple[tuple[int, ...], Pads, tuple[int, ...], tuple[int, ...]]:
    """(stride, padding as pairs, dilation, output sizes) of a transposed convolution.

    x is (N, C, *sizes) or (C, *sizes); weight (C, O / groups, *kernel); bias (O,) or None. Sizes
    become (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1.
    """
    dims, x = _batched(name, x, weight)
    stride = per_dimension("stride", stride, dims)
    dilation = per_dimension("dilation", dilation, dims)
    extra = per_dimension("output_padding", output_padding, dims)
    pads = tuple((p, p) for p in per_dimension("padding", padding, dims))
    kernel = tuple(weight[2:])
    _check_numbers(stride, pads, dilation, groups, kernel)
    if any(e < 0 for e in extra):
        raise RuntimeError("negative output_padding is not supported")
    _check_groups(weight, groups)
    if x[1] != weight[0]:
        raise RuntimeError(
            f"Given transposed=1, weight of size {list(weight)}, expected input{list(x)} to have "
            f"{weight[0]} channels, but got {x[1]} channels instead"
        )
    _check_bias("transposed=1, ", weight, bias, weight[1] * groups)
    if any(e >= s and e >= d for e, s, d in zip(extra, stride, dilation)):
        raise RuntimeError(
            "output padding must be smaller than either stride or dilation, but got "
            f"output_padding: {_by(extra)} stride: {_by(stride)} dilation: {_by(dilation)}"
        )
    out = tuple(
        (n - 1) * s - a - b + d * (k - 1) + e + 1
        for n, s, (a, b), d, k, e in zip(x[2:], stride, pads, dilation, kernel, extra)
    )
    if any(n < 1 for n in out):
        raise RuntimeError(
            f"Given input size per channel: ({_by(x[2:])}). Calculated output size per channel: "
            f"({_by(out)}). Output size is too small"
        )
    return stride, pads, dilation, out


def _batched(name: str, x: Sequence[int], weight: Sequence[int]) -> tuple[int, tuple[int, ...]]:
    """(spatial dimensions, the input's shape with a batch)."""
    last = name[-2:]
    dims = int(last[0]) if last in ("1d", "2d", "3d") else len(weight) - 2
    if len(weight) != dims + 2:
        raise RuntimeError(
            f"{name} expected a {dims + 2}-dimensional weight, but got one of size {list(weight)}"
        )
    if len(x) not in (dims + 1, dims + 2):
        raise RuntimeError(
            f"Expected {dims + 1}D (unbatched) or {dims + 2}D (batched) input to {name}, but got "
            f"input of size: {list(x)}"
        )
    return dims, tuple(x) if len(x) == dims + 2 else (1, *x)


def _check_numbers(
    stride: tuple[int, ...],
    pads: Pads,
    dilation: tuple[int, ...],
    groups: int,
    kernel: tuple[int, ...],
) -> None:
    if any(s <= 0 for s in stride):
        raise RuntimeError("non-positive stride is not supported")
    if any(a < 0 or b < 0 for a, b in pads):
        raise RuntimeError("negative padding is not supported")
    if any(d <= 0 for d in dilation):
        raise RuntimeError(f"dilation should be greater than zero, but got {list(dilation)}")
    if groups <= 0:
        raise RuntimeError("non-positive groups is not supported")
    if any(k <= 0 for k in kernel):
        raise RuntimeError(f"kernel size should be greater than zero, but got {_by(kernel)}")


def _check_groups(weight: Sequence[int], groups: int) -> None:
    if weight[0] < groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0, but "
            f"got weight of size {list(weight)} instead"
        )
    if weight[0] % groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, "
            f"but got weight of size [{list(weight)}] instead"
        )


def _check_bias(
    given: str, weight: Sequence[int], bias: Sequence[int] | None, channels: int
) -> None:
    if bias is not None and tuple(bias) != (channels,):
        raise RuntimeError(
            f"Given {given}weight of size {list(weight)}, expected bias to be 1-dimensional with "
            f"{channels} elements, but got bias of size {list(bias)} instead"
        )


def _by(sizes: Sequence[int]) -> str:
    return " x ".join(map(str, sizes))
