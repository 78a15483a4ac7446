"""Joining, repeating, reordering and padding, held against NumPy and finite differences."""

import numpy as np
import pytest

import flambeau as torch
from flambeau.autograd import gradcheck, gradgradcheck
from flambeau.functions import shape as shapes
from flambeau.ops.padding import pad


def sample(*shape):
    n = int(np.prod(shape))
    return (torch.arange(float(n), dtype=torch.float64).reshape(shape) / 7 - 1).requires_grad_()


def array(x):
    return x.detach().numpy()


# name: (function, the same by NumPy, shapes of the operands)
CASES = {
    "cat": (
        lambda a, b: torch.cat((a, b), 1), lambda a, b: np.concatenate((a, b), 1), (2, 3), (2, 5)
    ),
    "stack": (
        lambda a, b: torch.stack((a, b), 1), lambda a, b: np.stack((a, b), 1), (2, 3), (2, 3)
    ),
    "stack0": (lambda a, b: torch.stack((a, b)), lambda a, b: np.stack((a, b)), (2, 3), (2, 3)),
    "hstack": (lambda a, b: torch.hstack((a, b)), lambda a, b: np.hstack((a, b)), (2, 3), (2, 1)),
    "vstack": (lambda a, b: torch.vstack((a, b)), lambda a, b: np.vstack((a, b)), (3,), (2, 3)),
    "dstack": (lambda a, b: torch.dstack((a, b)), lambda a, b: np.dstack((a, b)), (3,), (3,)),
    "column_stack": (
        lambda a, b: torch.column_stack((a, b)), lambda a, b: np.column_stack((a, b)), (3,), (3, 2)
    ),
    "repeat": (lambda a: a.repeat(2, 1, 3), lambda a: np.tile(a, (2, 1, 3)), (2, 3)),
    "tile": (lambda a: a.tile(2), lambda a: np.tile(a, 2), (2, 3)),
    "repeat_interleave": (
        lambda a: a.repeat_interleave(2, 1), lambda a: np.repeat(a, 2, 1), (2, 3)
    ),
    "repeat_interleave_each": (
        lambda a: a.repeat_interleave(torch.tensor([2, 0, 3]), 1),
        lambda a: np.repeat(a, [2, 0, 3], 1), (2, 3),
    ),
    "flip": (lambda a: a.flip(0, 2), lambda a: np.flip(a, (0, 2)), (2, 3, 5)),
    "fliplr": (torch.fliplr, np.fliplr, (2, 3)),
    "roll": (lambda a: a.roll((1, -2), (0, 1)), lambda a: np.roll(a, (1, -2), (0, 1)), (3, 5)),
    "roll_flat": (lambda a: a.roll(4), lambda a: np.roll(a, 4), (3, 5)),
    "rot90": (lambda a: a.rot90(3, (0, 2)), lambda a: np.rot90(a, 3, (0, 2)), (2, 3, 5)),
    "tril": (lambda a: a.tril(1), lambda a: np.tril(a, 1), (2, 3, 5)),
    "triu": (lambda a: a.triu(-1), lambda a: np.triu(a, -1), (5, 3)),
    "diag": (lambda a: a.diag(-1), lambda a: np.diag(a, -1), (3,)),
    "diag_of": (lambda a: a.diag(1), lambda a: np.diag(a, 1), (3, 5)),
    "diag_embed": (torch.diag_embed, lambda a: a[:, None] * np.eye(3), (2, 3)),
    "diagflat": (torch.diagflat, np.diagflat, (2, 2)),
    "block_diag": (
        torch.block_diag,
        lambda a, b: np.block([[a, np.zeros((2, 2))], [np.zeros((1, 3)), b]]), (2, 3), (1, 2),
    ),
    "meshgrid": (
        lambda a, b: torch.meshgrid(a, b, indexing="xy"),
        lambda a, b: np.meshgrid(a, b, indexing="xy"), (2,), (3,),
    ),
    "cartesian_prod": (
        torch.cartesian_prod,
        lambda a, b: np.stack([np.repeat(a, 3), np.tile(b, 2)], 1), (2,), (3,),
    ),
    "combinations": (torch.combinations, lambda a: a[[[0, 1], [0, 2], [1, 2]]], (3,)),
    "broadcast_tensors": (
        torch.broadcast_tensors, lambda a, b: np.broadcast_arrays(a, b), (3, 1), (2, 1, 5)
    ),
    "constant": (lambda a: pad(a, (1, 2, -1, 1), value=3.0),
                 lambda a: np.pad(a[1:], ((0, 1), (1, 2)), constant_values=3.0), (3, 4)),
    "reflect": (lambda a: pad(a, (2, 1), "reflect"),
                lambda a: np.pad(a, ((0, 0), (2, 1)), "reflect"), (2, 4)),
    "replicate": (lambda a: pad(a, (2, 1, 0, 3), "replicate"),
                  lambda a: np.pad(a, ((0, 0), (0, 3), (2, 1)), "edge"), (2, 3, 4)),
    "circular": (lambda a: pad(a, (2, 1), "circular"),
                 lambda a: np.pad(a, ((0, 0), (2, 1)), "wrap"), (2, 4)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(name):
    function, twin, *operands = CASES[name]
    inputs = tuple(sample(*s) for s in operands)
    got, want = function(*inputs), twin(*map(array, inputs))
    for g, w in zip(*((got, want) if isinstance(got, tuple) else ((got,), (want,)))):
        np.testing.assert_array_equal(array(g), w)
    assert gradcheck(function, inputs)

    def squares(*xs):
        out = function(*xs)
        return tuple(o * o for o in out) if isinstance(out, tuple) else out * out

    assert gradgradcheck(squares, inputs)


def test_cat_promotes_and_leaves_out_what_is_empty():
    x = torch.ones(2, 3)
    assert torch.cat([x, x.long()]).dtype is torch.float32
    assert torch.cat([torch.ones(2, dtype=torch.int8), torch.ones(1, dtype=torch.uint8)]).dtype is (
        torch.int16
    )
    assert torch.cat([torch.zeros(0), x]).shape == (2, 3)
    assert torch.cat([torch.zeros(0), torch.zeros(0)]).shape == (0,)
    nothing = torch.zeros(0, requires_grad=True)
    (g,) = torch.autograd.grad(torch.cat([x, nothing]).sum(), nothing)
    assert g.shape == (0,)
    out = torch.empty(4, 3)
    assert torch.cat([x, x], out=out) is out and out.sum() == 12


def test_cat_keeps_sixteen_bits():
    x = torch.tensor([1.5, -2.0], dtype=torch.bfloat16)
    assert torch.cat([x, x]).dtype is torch.bfloat16
    assert torch.stack([x, x]).float().tolist() == [[1.5, -2.0], [1.5, -2.0]]


def test_shuffles_undo_each_other():
    x = sample(2, 8, 3, 5)
    up = torch.pixel_shuffle(x, 2)
    assert up.shape == (2, 2, 6, 10)
    assert torch.equal(torch.pixel_unshuffle(up, 2), x)
    dealt = x[0, [0, 2, 4, 6, 1, 3, 5, 7]]
    assert torch.equal(torch.channel_shuffle(x, 4)[0], dealt)


def test_indices_of_triangles():
    assert torch.tril_indices(2, 3).tolist() == [[0, 1, 1], [0, 0, 1]]
    assert torch.triu_indices(2, 3, 1).tolist() == [[0, 0, 1], [1, 2, 2]]


def test_atleast():
    number, vector = torch.tensor(1.0), torch.ones(3)
    assert torch.atleast_1d(number).shape == (1,)
    assert [t.shape for t in torch.atleast_2d(number, vector)] == [(1, 1), (1, 3)]
    assert [t.shape for t in torch.atleast_3d(vector, torch.ones(2, 3))] == [(1, 3, 1), (2, 3, 1)]


ERRORS = {
    "cat": (
        lambda: torch.cat([torch.zeros(2, 3), torch.zeros(3, 2)]),
        RuntimeError,
        "Sizes of tensors must match except in dimension 0. Expected size 3 but got size 2 for "
        "tensor number 1 in the list.",
    ),
    "cat dims": (
        lambda: torch.cat([torch.zeros(2, 3), torch.zeros(3)]),
        RuntimeError,
        "Tensors must have same number of dimensions: got 2 and 1",
    ),
    "cat 0-d": (
        lambda: torch.cat([torch.tensor(1.0)]),
        RuntimeError,
        "zero-dimensional tensor (at position 0) cannot be concatenated",
    ),
    "cat nothing": (lambda: torch.cat([]), ValueError, "expected a non-empty list of Tensors"),
    "cat tensor": (lambda: torch.cat(torch.zeros(2)), TypeError, "must be tuple of Tensors"),
    "cat number": (
        lambda: torch.cat([torch.zeros(2), 1]),
        TypeError,
        "expected Tensor as element 1 in argument 0, but got int",
    ),
    "stack": (
        lambda: torch.stack([torch.zeros(2), torch.zeros(3)]),
        RuntimeError,
        "stack expects each tensor to be equal size, but got [2] at entry 0 and [3] at entry 1",
    ),
    "repeat": (
        lambda: torch.zeros(2, 3).repeat(2),
        RuntimeError,
        "Number of dimensions of repeat dims can not be smaller than number of dimensions of",
    ),
    "broadcast_shapes": (
        lambda: torch.broadcast_shapes((2, 3), (4,)),
        RuntimeError,
        "Attempting to broadcast a dimension of length 4 at -1!",
    ),
    "reflect": (
        lambda: pad(torch.zeros(2, 3), (3, 0), "reflect"),
        RuntimeError,
        "Padding size should be less than the corresponding input dimension",
    ),
    "pad value": (
        lambda: pad(torch.zeros(2, 3), (1, 1), "reflect", 0),
        RuntimeError,
        'Padding mode "reflect" doesn\'t take in value argument',
    ),
    "pixel_shuffle": (
        lambda: torch.pixel_shuffle(torch.zeros(1, 3, 2, 2), 2),
        RuntimeError,
        "divisible by the square of upscale_factor",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_say_what_pytorch_says(name):
    wrong, kind, phrase = ERRORS[name]
    with pytest.raises(kind) as caught:
        wrong()
    assert phrase in str(caught.value)


def test_every_public_name_has_a_docstring():
    assert all(getattr(shapes, n).__doc__ for n in shapes.__all__)
