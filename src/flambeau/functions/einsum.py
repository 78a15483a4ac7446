"""Einstein's summation: sums of products of tensors whose dimensions are named by letters.

The plan is simple. A letter repeated in one operand takes its diagonal; a letter that no other
operand and not the result has is summed at once; then the operands are contracted from left to
right, each pair by one (batched) matrix product, or by a plain product where nothing is summed.
"""

from __future__ import annotations

from collections.abc import Sequence

from .._shapes import numel
from ..core.value import Value
from ..ops import products

_DOTS = -1  # stands for an ellipsis until its dimensions are known
_LIMIT = 52
_Letters = list[int]


def _letter(label: int) -> str:
    if label >= _LIMIT:
        return f"... dimension {label - _LIMIT}"
    return chr(ord("A") + label) if label < 26 else chr(ord("a") + label - 26)


def _labels(text: str, where: str, position: int) -> _Letters:
    """The letters of one operand, or of the result, as numbers: A-Z are 0-25, a-z 26-51."""
    labels: _Letters = []
    i = 0
    while i < len(text):
        c = text[i]
        if c == " ":
            pass
        elif c == ".":
            if _DOTS in labels:
                raise RuntimeError(
                    f"einsum(): found '.' for {where} for which an ellipsis was already found"
                )
            if text[i : i + 3] != "...":
                raise RuntimeError(
                    f"einsum(): found '.' for {where} that is not part of any ellipsis"
                )
            labels.append(_DOTS)
            i += 2
        elif c.isascii() and c.isalpha():
            labels.append(ord(c) - ord("A") if c.isupper() else ord(c) - ord("a") + 26)
        else:
            raise RuntimeError(
                f"einsum(): invalid subscript given at index {position + i} in the equation "
                f"string, subscripts must be in [a-zA-Z]\n  it is {c!r}, in {where}"
            )
        i += 1
    return labels


def _parsed(equation: str) -> tuple[list[_Letters], _Letters | None]:
    """The letters of the operands, and of the result (None where the equation has no arrow)."""
    left, arrow, right = equation.partition("->")
    inputs = []
    start = 0
    for i, part in enumerate(left.split(",")):
        inputs.append(_labels(part, f"operand {i}", start))
        start += len(part) + 1
    return inputs, _labels(right, "the output", len(left) + 2) if arrow else None


def _from_list(entries: Sequence[object]) -> _Letters:
    labels = []
    for e in entries:
        if e is Ellipsis:
            labels.append(_DOTS)
        elif isinstance(e, int) and 0 <= e < _LIMIT:
            labels.append(e)
        else:
            raise ValueError(
                "einsum(): subscript in subscript list is not within the valid range [0, 52)\n"
                f"  got {e!r}"
            )
    return labels


def _arguments(args: tuple) -> tuple[list[_Letters], _Letters | None, list[Value]]:
    """Both forms: ``("ij,jk->ik", a, b)`` and ``(a, [0, 1], b, [1, 2], [0, 2])``."""
    if len(args) < 2:
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, "
            "or at least one operand and its subscripts list"
        )
    if isinstance(args[0], Value):
        operands = list(args[0:-1:2] if len(args) % 2 else args[0::2])
        inputs = [_from_list(sub) for sub in args[1::2]]
        return inputs, _from_list(args[-1]) if len(args) % 2 else None, operands
    equation, *operands = args
    if not isinstance(equation, str):
        raise TypeError(f"einsum(): argument 'equation' must be str, not {type(equation).__name__}")
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = list(operands[0])
    inputs, output = _parsed(equation)
    if len(inputs) != len(operands):
        word = "fewer" if len(operands) < len(inputs) else "more"
        raise RuntimeError(
            f"einsum(): {word} operands were provided than specified in the equation\n"
            f"  {equation!r} names {len(inputs)}, got {len(operands)}"
        )
    return inputs, output, operands


def _spelled_out(
    inputs: list[_Letters], output: _Letters | None, operands: list[Value]
) -> _Letters:
    """Replace each ellipsis by labels of its own (in place); returns the labels of the result."""
    widest = 0
    for i, (labels, t) in enumerate(zip(inputs, operands)):
        extra = t._array.ndim - len(labels)
        if _DOTS in labels:
            extra += 1
            if extra < 0:
                raise RuntimeError(
                    f"einsum(): the number of subscripts in the equation ({len(labels) - 1}) is "
                    f"more than the number of dimensions ({t._array.ndim}) for operand {i}"
                )
            widest = max(widest, extra)
        elif extra:
            raise RuntimeError(
                f"einsum(): the number of subscripts in the equation ({len(labels)}) does not "
                f"match the number of dimensions ({t._array.ndim}) for operand {i} and no "
                "ellipsis was given"
            )
    dots = list(range(_LIMIT, _LIMIT + widest))
    seen: dict[int, int] = {}
    for labels, t in zip(inputs, operands):
        if _DOTS in labels:
            at = labels.index(_DOTS)
            extra = t._array.ndim - len(labels) + 1
            labels[at : at + 1] = dots[widest - extra :]
        for label in labels:
            seen[label] = seen.get(label, 0) + 1
    if output is None:  # letters that occur once, in the alphabet's order, after the ellipsis
        return dots + sorted(k for k, n in seen.items() if n == 1 and k < _LIMIT)
    if _DOTS in output:
        at = output.index(_DOTS)
        output = output[:at] + dots + output[at + 1 :]
    for label in output:
        if output.count(label) > 1:
            raise RuntimeError(
                f"einsum(): output subscript {_letter(label)} appears more than once in the output"
            )
        if label not in seen:
            raise RuntimeError(
                f"einsum(): output subscript {_letter(label)} does not appear in the equation for "
                "any input operand"
            )
    return output


def _without_repeats(t: Value, labels: _Letters, operand: int) -> tuple[Value, _Letters]:
    """The diagonal over every letter that ``labels`` repeats."""
    i = 0
    while i < len(labels):
        j = next((j for j in range(i + 1, len(labels)) if labels[j] == labels[i]), None)
        if j is None:
            i += 1
            continue
        p, q = t._array.shape[i], t._array.shape[j]
        if p != q:
            raise RuntimeError(
                f"einsum(): subscript {_letter(labels[i])} is repeated for operand {operand} but "
                f"the sizes don't match, {q} != {p}"
            )
        t = t.diagonal(0, i, j).movedim(-1, i)
        labels = labels[:j] + labels[j + 1 :]
    return t, labels


def _sizes(operands: list[Value], inputs: list[_Letters]) -> dict[int, int]:
    sizes: dict[int, int] = {}
    for i, (t, labels) in enumerate(zip(operands, inputs)):
        for n, label in zip(t._array.shape, labels):
            old = sizes.get(label, 1)
            if old != 1 and n not in (1, old):
                raise RuntimeError(
                    f"einsum(): subscript {_letter(label)} has size {n} for operand {i} which "
                    f"does not broadcast with previously seen size {old}"
                )
            sizes[label] = old if n == 1 else n
    return sizes


def _ordered(t: Value, labels: _Letters, order: _Letters) -> Value:
    """``t`` with its dimensions in the given order."""
    return t if labels == order else t.permute([labels.index(k) for k in order])


def _contracted(
    a: Value, la: _Letters, b: Value, lb: _Letters, keep: set[int]
) -> tuple[Value, _Letters]:
    """The product of two operands, summed over the letters both have and nobody needs later."""
    shared = [k for k in la if k in lb]
    inside = [k for k in shared if k not in keep]
    batch = [k for k in shared if k in keep]
    rows = [k for k in la if k not in lb]
    columns = [k for k in lb if k not in la]
    result = batch + rows + columns
    if not inside:
        x = _ordered(a, la, batch + rows)
        y = _ordered(b, lb, batch + columns)
        if columns:
            x = x.reshape(x._array.shape + (1,) * len(columns))
        if rows:
            s = y._array.shape
            y = y.reshape(s[: len(batch)] + (1,) * len(rows) + s[len(batch) :])
        return x * y, result
    size = dict(zip(la, a._array.shape)) | dict(zip(lb, b._array.shape))
    x = _ordered(a, la, batch + rows + inside)
    y = _ordered(b, lb, batch + inside + columns)
    m, k, n = (numel([size[i] for i in part]) for part in (rows, inside, columns))
    shape = [size[i] for i in result]
    if not batch:
        r = products.mm(
            x if len(rows) == len(inside) == 1 else x.reshape(m, k),
            y if len(columns) == len(inside) == 1 else y.reshape(k, n),
        )
    else:
        count = numel([size[i] for i in batch])
        r = products.bmm(x.reshape(count, m, k), y.reshape(count, k, n))
    return (r if list(r._array.shape) == shape else r.reshape(shape)), result


def einsum(*args: object) -> Value:
    """Sums of products of tensors, named by letters: ``einsum("bij,bjk->bik", a, b)``.

    An ellipsis stands for dimensions that broadcast; without an arrow the result has the letters
    that occur once, in alphabetical order. Also ``einsum(a, [0, 1], b, [1, 2], [0, 2])``.
    RuntimeError for letters and sizes that do not go together.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.einsum.html
    """
    inputs, output, operands = _arguments(args)
    for t in operands:
        if not isinstance(t, Value):
            raise TypeError(f"einsum(): operands must be Tensors, not {type(t).__name__}")
    output = _spelled_out(inputs, output, operands)
    for i, labels in enumerate(inputs):
        if len(set(labels)) != len(labels):
            operands[i], inputs[i] = _without_repeats(operands[i], labels, i)
    sizes = _sizes(operands, inputs)
    for i, labels in enumerate(inputs):  # a size of 1 that meets a larger one is no dimension
        shape = operands[i]._array.shape
        thin = [d for d, k in enumerate(labels) if shape[d] == 1 and sizes[k] != 1]
        if thin:
            operands[i] = operands[i].squeeze(thin)
            inputs[i] = [k for d, k in enumerate(labels) if d not in thin]
    for i, labels in enumerate(inputs):
        others = set(output).union(*[inputs[j] for j in range(len(inputs)) if j != i])
        alone = [d for d, k in enumerate(labels) if k not in others]
        if alone:
            operands[i] = operands[i].sum(alone)
            inputs[i] = [k for k in labels if k in others]
    t, labels = operands[0], inputs[0]
    for i in range(1, len(operands)):
        keep = set(output).union(*inputs[i + 1 :])
        t, labels = _contracted(t, labels, operands[i], inputs[i], keep)
    return _ordered(t, labels, output)


__all__ = ["einsum"]
