"""Reading and writing at places: values against NumPy, gradients, errors. What an index means is
held against PyTorch's own answers in tests/views."""

import numpy as np
import pytest

import flambeau as torch
from flambeau.autograd import gradcheck, gradgradcheck
from flambeau.ops._accumulate import add_rows
from flambeau.ops.gathering import one_hot


def sample(*shape):
    n = int(np.prod(shape))
    return (torch.arange(float(n), dtype=torch.float64).reshape(shape) / 7 - 1.03).requires_grad_()


I = torch.tensor([2, 0, 2])
COLUMNS = torch.tensor([[0, 2], [1, 1], [3, 0]])
APART = torch.tensor([[0, 2], [1, 3], [3, 0]])
MASK = torch.tensor([[True, False, True, False]] * 3)
MASK[1] = True

# name: (function, shapes of the operands)
CASES = {
    "rows": (lambda x: x[I], (3, 4)),
    "mixed": (lambda x: x[:, I, None, 1:3], (2, 3, 4)),
    "apart": (lambda x: x[torch.tensor([[0], [1]]), :, I], (2, 3, 4)),
    "pair": (lambda x: x[torch.arange(3), I], (3, 4)),
    "mask": (lambda x: x[MASK], (3, 4)),
    "mask and row": (lambda x: x[1, MASK[0]], (3, 4)),
    "negative": (lambda x: x[torch.tensor([-1, 0, -3])], (3, 4)),
    "gather0": (lambda x: x.gather(0, I[:, None]), (3, 4)),
    "gather1": (lambda x: x.gather(1, COLUMNS), (3, 4)),
    "take": (lambda x: x.take(COLUMNS * 2), (3, 4)),
    "take_along_dim": (lambda x: x.take_along_dim(I[:, None], 1), (3, 4)),
    "index_select": (lambda x: x.index_select(1, I), (3, 4)),
    "masked_select": (lambda x: x.masked_select(MASK[1]), (3, 4)),
    "scatter": (lambda x, y: x.scatter(1, APART, y), (3, 4), (3, 5)),
    "scatter value": (lambda x: x.scatter(1, COLUMNS, 2.5), (3, 4)),
    "scatter_add": (lambda x, y: x.scatter_add(1, COLUMNS, y), (3, 4), (3, 2)),
    "index_add": (lambda x, y: x.index_add(0, I, y, alpha=2), (3, 4), (3, 4)),
    "index_copy": (lambda x, y: x.index_copy(1, torch.tensor([3, 1]), y), (3, 4), (3, 2)),
    "index_fill": (lambda x: x.index_fill(0, I, 2.0), (3, 4)),
    "index_put": (lambda x, y: x.index_put((torch.tensor([2, 0]),), y), (3, 4), (4,)),
    "index_put add": (lambda x, y: x.index_put((I, I), y, accumulate=True), (3, 4), (3,)),
    "put": (lambda x, y: x.put(torch.tensor([1, 7]), y), (3, 4), (2,)),
    "put add": (lambda x, y: x.put(torch.tensor([1, 1]), y, accumulate=True), (3, 4), (2,)),
    "masked_scatter": (lambda x, y: x.masked_scatter(MASK, y), (3, 4), (9,)),
    "select_scatter": (lambda x, y: x.select_scatter(y, 1, 2), (3, 4), (3,)),
    "slice_scatter": (lambda x, y: x.slice_scatter(y, 1, 0, 4, 2), (3, 4), (3, 2)),
    "diagonal_scatter": (lambda x, y: x.diagonal_scatter(y, 1), (3, 4), (3,)),
}  # fmt: skip
for how in ("sum", "prod", "mean", "amax", "amin"):
    for own in (True, False):
        CASES[f"scatter_reduce {how} {own}"] = (
            lambda x, y, how=how, own=own: x.scatter_reduce(1, COLUMNS, y, how, include_self=own),
            (3, 4),
            (3, 2),
        )
        if how != "sum":
            CASES[f"index_reduce {how} {own}"] = (
                lambda x, y, how=how, own=own: x.index_reduce(0, I, y, how, include_self=own),
                (3, 4),
                (3, 4),
            )


@pytest.mark.parametrize("name", CASES)
def test_gradients(name):
    function, *shapes = CASES[name]
    inputs = tuple((sample(*s) + 0.17 * i).detach().requires_grad_() for i, s in enumerate(shapes))
    assert gradcheck(function, inputs)
    assert gradgradcheck(lambda *xs: function(*xs) ** 2, inputs)


@pytest.mark.parametrize("shape", [(5, 3), (1, 1), (7,), (4, 2, 3), (6, 0)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.complex64, np.bool_])
def test_rows_are_added_at_repeated_places(shape, dtype):
    rng = np.random.default_rng(0)
    for count in (0, 1, 3, 40, 6000):
        index = rng.integers(-shape[0], shape[0], count)
        rows = rng.integers(0, 5, (count, *shape[1:])).astype(dtype)
        want = np.zeros(shape, dtype)
        (np.logical_or if dtype is np.bool_ else np.add).at(want, index, rows)
        np.testing.assert_array_equal(add_rows(np.zeros(shape, dtype), index, rows), want)
        turned = np.zeros(shape[::-1], dtype).T
        np.testing.assert_array_equal(add_rows(turned, index, rows), want)


def test_many_small_bfloat16_parts_are_not_lost():
    x = torch.ones(1000, 2, dtype=torch.bfloat16)
    total = torch.zeros(1, 2, dtype=torch.bfloat16).index_add(
        0, torch.zeros(1000, dtype=torch.int64), x
    )
    assert total.float().tolist() == [[1000.0, 1000.0]]  # fmt: skip


def test_large_reads_agree_with_small_ones():
    table = torch.arange(3000.0).reshape(300, 10)
    index = torch.arange(40000) * 7 % 300 - 150
    assert torch.equal(table[index][:5], table[index[:5]])
    assert torch.equal(table[index], table.index_select(0, index % 300))
    wide = (index % 300)[:, None].expand(40000, 10)
    assert torch.equal(table.gather(0, wide), table[index])
    assert torch.equal(table.t().gather(1, wide.t()), table[index].t())


def test_basic_indices_give_views_and_others_copies():
    x = torch.zeros(3, 4)
    x[0][1:] = 1.0
    x[..., 0] = 2.0
    x[None, 1, :, None][0, 3] = 3.0
    assert x.tolist() == [[2, 1, 1, 1], [2, 0, 0, 3], [2, 0, 0, 0]]
    x[[0]].fill_(9.0)
    x[x > 2].fill_(9.0)
    assert x.max() == 3


def test_values_are_converted_and_stretched():
    x = torch.zeros(2, 3, dtype=torch.int64)
    x[0] = 3.7
    x[1] = torch.tensor([1.9, -1.9, 7.0])
    x[:, 1:2] = torch.tensor([[[5]]])
    assert x.tolist() == [[3, 5, 3], [1, 5, 7]]
    half = torch.zeros(3, dtype=torch.bfloat16)
    half[1] = 2.5
    half[torch.tensor([2])] = torch.tensor(3.0)
    assert half.float().tolist() == [0, 2.5, 3]
    half[half > 2.6] = 0
    assert half.float().tolist() == [0, 2.5, 0]
    x[torch.tensor([True, False])] = torch.tensor([1, 2, 3])
    assert x[0].tolist() == [1, 2, 3]


def test_nan_and_infinity_stay_in_their_rows():
    x = sample(3, 2)
    g = torch.tensor([[float("nan"), 1.0], [float("inf"), 2.0]], dtype=torch.float64)
    (got,) = torch.autograd.grad(x[torch.tensor([0, 2])], x, g)
    assert got[1].tolist() == [0, 0] and got[2].tolist() == [float("inf"), 2.0]


def test_empty_indices():
    x = torch.zeros(3, 4)
    none = torch.tensor([], dtype=torch.int64)
    assert x[none].shape == (0, 4)
    assert x[[]].shape == (0, 4)
    assert x[:, none].shape == (3, 0)
    assert x[x > 1].shape == (0,)
    assert x.gather(0, none.reshape(0, 4)).shape == (0, 4)
    assert x.index_select(1, none).shape == (3, 0)
    x[none] = 5.0
    x[x > 1] = torch.tensor([], dtype=torch.float32)
    assert x.sum() == 0
    assert torch.zeros(0, 3).nonzero().shape == (0, 2)


def test_where_elements_are():
    x = torch.tensor([[0, 1], [2, 0]])
    assert x.nonzero().tolist() == [[0, 1], [1, 0]]
    assert [i.tolist() for i in x.nonzero(as_tuple=True)] == [[0, 1], [1, 0]]
    assert torch.tensor(3).nonzero().shape == (1, 0)
    assert torch.argwhere(x).tolist() == [[0, 1], [1, 0]]
    assert [i.tolist() for i in torch.unravel_index(torch.tensor([5, 3]), (2, 3))] == [
        [1, 1],
        [2, 0],
    ]
    assert one_hot(torch.tensor([1, 0]), 3).tolist() == [[0, 1, 0], [1, 0, 0]]  # fmt: skip


def test_writes_count_and_are_noticed():
    x = sample(3, 4) * 1
    y = x * x
    x[0] = 0.0
    x[x > 5] = 0.0
    x.scatter_(0, torch.tensor([[1]]), 2.0)
    assert x._version == 3
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


ERRORS = {
    "int": (lambda x: x[3], IndexError, "index 3 is out of bounds for dimension 0 with size 3"),
    "tensor": (
        lambda x: x[torch.tensor([[0, 1], [7, 0]])],
        IndexError,
        "index 7 is out of bounds for dimension 0 with size 3\n  at index[1, 0] of an index tensor "
        "of shape (2, 2); allowed are -3 to 2",
    ),
    "second": (
        lambda x: x[[0, 1], [0, 4]],
        IndexError,
        "index 4 is out of bounds for dimension 1 with size 4\n  at index[1]",
    ),
    "too many": (lambda x: x[0, 0, 0], IndexError, "too many indices for tensor of dimension 2"),
    "step": (lambda x: x[::-1], ValueError, "step must be greater than zero"),
    "float": (lambda x: x[1.5], IndexError, "only integers, slices (`:`), ellipsis (`...`), None"),
    "float tensor": (
        lambda x: x[torch.tensor([1.0])],
        IndexError,
        "tensors used as indices must be long, int, byte or bool tensors",
    ),
    "mask": (
        lambda x: x[torch.tensor([True, False])],
        IndexError,
        "The shape of the mask [2] at index 0 does not match the shape of the indexed tensor "
        "[3, 4] at index 0",
    ),
    "shapes": (
        lambda x: x[[0, 1], [0, 1, 2]],
        IndexError,
        "shape mismatch: indexing tensors could not be broadcast together with shapes [2], [3]",
    ),
    "gather": (
        lambda x: x.gather(0, torch.tensor([[0, 5]])),
        RuntimeError,
        "index 5 is out of bounds for dimension 0 with size 3\n  gather: at index[0, 1]",
    ),
    "gather dims": (
        lambda x: x.gather(0, torch.tensor([0])),
        RuntimeError,
        "Index tensor must have the same number of dimensions as input tensor",
    ),
    "index_select": (
        lambda x: x.index_select(0, torch.tensor([3])), IndexError, "index out of range in self"
    ),
    "take": (
        lambda x: x.take(torch.tensor([12])),
        IndexError,
        "out of range: tried to access index 12 on a tensor of 12 elements.",
    ),
    "set shape": (
        lambda x: x.__setitem__(0, torch.zeros(5)),
        RuntimeError,
        "The expanded size of the tensor (4) must match the existing size (5)",
    ),
    "set rows": (
        lambda x: x.__setitem__(torch.tensor([0, 1]), torch.zeros(5)),
        RuntimeError,
        "shape mismatch: value tensor of shape [5] cannot be broadcast to indexing result of shape "
        "[2, 4]",
    ),
    "set list": (
        lambda x: x.__setitem__(0, [1, 2]), TypeError, "can't assign a list to a torch.FloatTensor"
    ),
    "set large": (
        lambda x: x.to(torch.uint8).__setitem__(0, 300),
        RuntimeError,
        "value cannot be converted to type uint8_t without overflow",
    ),
    "scatter dtype": (
        lambda x: x.scatter(0, torch.tensor([[0]]), x.double()),
        RuntimeError,
        "Expected self.dtype to be equal to src.dtype",
    ),
    "masked_select": (
        lambda x: x.masked_select(x), RuntimeError, "masked_select: expected BoolTensor for mask"
    ),
    "one_hot": (
        lambda x: one_hot(torch.tensor([3]), 2), RuntimeError, "Class values must be smaller than"
    ),
    "expanded": (
        lambda x: x[:1].expand(3, 4).scatter_(0, torch.tensor([[0]]), 1.0),
        RuntimeError,
        "unsupported operation: more than one element of the written-to tensor refers to a single "
        "memory location.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_errors_say_where_and_what(name):
    wrong, kind, phrase = ERRORS[name]
    with pytest.raises(kind) as caught:
        wrong(torch.zeros(3, 4))
    assert phrase in str(caught.value)
