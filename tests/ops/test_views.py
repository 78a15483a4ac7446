"""Views: they share memory, have PyTorch's strides and names, and gradients to second order."""

import numpy as np
import pytest

import flambeau as torch
from flambeau.autograd import gradcheck, gradgradcheck


def sample(*shape):
    n = int(np.prod(shape))
    return (torch.arange(float(n), dtype=torch.float64).reshape(shape) / 7 - 1).requires_grad_()


def shares(a, b):
    return np.may_share_memory(a.detach().numpy(), b.detach().numpy())


# name: (view, shape of the operand, strides of the view of a contiguous operand, grad_fn)
VIEWS = {
    "view": (lambda x: x.view(3, 10), (5, 6), (10, 1), "ViewBackward0"),
    "view_as": (lambda x: x.view_as(torch.zeros(6, 5)), (5, 6), (5, 1), "ViewBackward0"),
    "reshape": (lambda x: x.reshape(-1, 3), (5, 6), (3, 1), "ViewBackward0"),
    "flatten": (lambda x: x.flatten(1), (2, 3, 5), (15, 1), "ViewBackward0"),
    "ravel": (lambda x: x.ravel(), (2, 3), (1,), "ViewBackward0"),
    "unflatten": (lambda x: x.unflatten(1, (2, -1)), (3, 6), (6, 3, 1), "ViewBackward0"),
    "permute": (lambda x: x.permute(2, 0, 1), (2, 3, 5), (1, 15, 5), "PermuteBackward0"),
    "transpose": (lambda x: x.transpose(0, -1), (2, 3, 5), (1, 5, 15), "TransposeBackward0"),
    "t": (lambda x: x.t(), (2, 3), (1, 3), "TBackward0"),
    "T": (lambda x: x.T, (2, 3), (1, 3), "PermuteBackward0"),
    "mT": (lambda x: x.mT, (2, 3, 5), (15, 1, 5), "TransposeBackward0"),
    "movedim": (lambda x: x.movedim(0, 2), (2, 3, 5), (5, 1, 15), "PermuteBackward0"),
    "squeeze": (lambda x: x.squeeze(), (2, 1, 3, 1), (3, 1), "SqueezeBackward0"),
    "squeeze1": (lambda x: x.squeeze(1), (2, 1, 3), (3, 1), "SqueezeBackward1"),
    "squeeze2": (lambda x: x.squeeze((0, 1)), (2, 1, 3), (3, 1), "SqueezeBackward2"),
    "unsqueeze": (lambda x: x.unsqueeze(1), (2, 3), (3, 3, 1), "UnsqueezeBackward0"),
    "expand": (lambda x: x.expand(4, 2, 3), (2, 1), (0, 1, 0), "ExpandBackward0"),
    "select": (lambda x: x.select(1, -1), (2, 3), (3,), "SelectBackward0"),
    "narrow": (lambda x: x.narrow(1, 1, 2), (2, 3), (3, 1), "SliceBackward0"),
    "slice": (lambda x: x[:, ::2], (2, 5), (5, 2), "SliceBackward0"),
    "new axis": (lambda x: x[:, None], (2, 3), (3, 3, 1), "UnsqueezeBackward0"),
    "chunk": (lambda x: x.chunk(2, 1)[1], (2, 5), (5, 1), "SplitBackward0"),
    "split": (lambda x: x.split([1, 2], 1)[1], (2, 3), (3, 1), "SplitWithSizesBackward0"),
    "tensor_split": (lambda x: x.tensor_split(2)[0], (3, 2), (2, 1), "SliceBackward0"),
    "unbind": (lambda x: x.unbind(1)[2], (2, 3), (3,), "UnbindBackward0"),
    "diagonal": (lambda x: x.diagonal(1, 0, 2), (3, 2, 4), (4, 9), "DiagonalBackward0"),
    "unfold": (lambda x: x.unfold(0, 3, 2), (7, 2), (4, 1, 2), "UnfoldBackward0"),
    "as_strided": (lambda x: x.as_strided((2, 2), (1, 2), 1), (5,), (1, 2), "AsStridedBackward0"),
}


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_shares_memory(name):
    view, shape, strides, grad_fn = VIEWS[name]
    x = sample(*shape)
    y = view(x)
    assert shares(x, y)
    assert y._is_view()
    assert y.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
    assert y.stride() == strides or 1 in y.shape
    assert y.grad_fn.name() == grad_fn
    with torch.no_grad():
        y.copy_(torch.zeros_like(y)) if name != "expand" else x.zero_()
    assert (view(x) == 0).all()
    assert x._version == 1


@pytest.mark.parametrize("name", VIEWS)
def test_gradients_of_views(name):
    view, shape, _, _ = VIEWS[name]
    x = sample(*shape)
    assert gradcheck(view, (x,))
    assert gradgradcheck(lambda v: view(v) ** 2, (x,))


@pytest.mark.parametrize("name", ["view", "reshape", "permute", "select", "diagonal", "unfold"])
def test_views_of_strided_tensors(name):
    view, shape, _, _ = VIEWS[name]
    x = sample(*shape, 2).detach()[..., 1].requires_grad_()
    want = view(x.detach().clone())
    assert torch.equal(view(x).detach(), want)
    assert gradcheck(view, (x,))


def test_reshape_copies_only_where_it_must():
    x = sample(4, 6)
    assert shares(x.t().reshape(6, 2, 2), x)
    y = x.t().reshape(24)
    assert not shares(y, x)
    assert y.grad_fn.name() == "UnsafeViewBackward0"
    assert y.grad_fn.next_functions[0][0].name() == "CloneBackward0"
    assert gradcheck(lambda v: v.t().reshape(24), (x,))


def test_views_of_tensors_without_elements_or_dimensions():
    empty = torch.zeros(0, 3)
    assert empty.view(3, 0).shape == (3, 0)
    assert empty.reshape(-1, 3).shape == (0, 3)
    assert empty.unbind(1)[2].shape == (0,)
    assert empty.expand(2, 0, 3).shape == (2, 0, 3)
    assert empty.diagonal().shape == (0,)
    with pytest.raises(RuntimeError, match="is ambiguous"):
        empty.view(-1, 0)
    number = torch.tensor(2.0)
    assert number.view(1, 1).shape == (1, 1)
    assert number.flatten().shape == (1,)
    assert number.t().shape == number.transpose(0, -1).shape == number.squeeze(0).shape == ()
    assert number.expand(2, 3).stride() == (0, 0)
    assert number.unsqueeze(-1).shape == (1,)
    assert number[None, ..., None].shape == (1, 1)


def test_parts_of_complex_numbers():
    x = torch.tensor([1 + 2j, 3 - 4j], dtype=torch.complex128).requires_grad_()
    assert shares(x.real, x) and shares(x.imag, x) and shares(torch.view_as_real(x), x)
    assert torch.view_as_real(x).tolist() == [[1, 2], [3, -4]]
    assert torch.view_as_complex(torch.tensor([[1.0, 2.0]])).tolist() == [1 + 2j]
    assert gradcheck(lambda v: (v.real * 2, v.imag**2), (x,))
    assert gradgradcheck(lambda v: torch.view_as_real(v) ** 2, (x,))
    pairs = sample(3, 2)
    assert gradcheck(torch.view_as_complex, (pairs,))
    assert torch.tensor([1.0]).real.tolist() == [1.0]
    with pytest.raises(RuntimeError, match="imag is not implemented for tensors with non-complex"):
        torch.imag(torch.zeros(2))


def test_other_dtypes_of_the_same_bytes():
    x = torch.tensor([[1.0, 2.0]])
    assert x.view(torch.int32).tolist() == [[0x3F800000, 0x40000000]]
    assert x.view(torch.uint8).shape == (1, 8)
    assert x.view(torch.int16).view(torch.float32).tolist() == [[1.0, 2.0]]
    assert x.view(torch.float64).shape == (1, 1)
    assert shares(x.view(torch.bfloat16).view(torch.int16), x)
    with pytest.raises(RuntimeError, match=r"self.size\(-1\) must be divisible by 2"):
        torch.zeros(3).view(torch.float64)
    with pytest.raises(RuntimeError, match=r"self.stride\(-1\) must be 1"):
        torch.zeros(2, 2).t().view(torch.int16)


def test_in_place_twins_change_the_shape_of_the_tensor_itself():
    x = sample(2, 3) * 1
    same = x
    assert x.t_() is same and x.shape == (3, 2) and x.stride() == (1, 3)
    assert x.unsqueeze_(0).shape == (1, 3, 2)
    assert x.squeeze_(0).transpose_(0, 1).shape == (2, 3)
    assert x.grad_fn.name() == "TransposeBackward0"


def test_as_strided_scatter_gives_each_element_one_gradient():
    x, src = sample(2, 3), sample(2)

    def put(a, b):
        return a.as_strided_scatter(b, (2,), (2,), 1)

    assert put(x, src).detach().reshape(-1)[1::2][:2].tolist() == src.tolist()
    assert gradcheck(put, (x, src))
    assert gradgradcheck(put, (x, src))


def test_overlapping_windows_add_up():
    (g,) = torch.autograd.grad(sample(5).unfold(0, 3, 1).sum(), (x := sample(5)), allow_unused=True)
    assert g is None
    (g,) = torch.autograd.grad(x.unfold(0, 3, 1).sum(), x)
    assert g.tolist() == [1, 2, 3, 2, 1]
    (g,) = torch.autograd.grad(x.as_strided((3, 3), (1, 1)).sum(), x)
    assert g.tolist() == [1, 2, 3, 2, 1]


def test_backward_passes_a_view_any_number_of_times():
    x = sample(2, 3)
    total = x.view(-1)[1:].sum()
    total.backward()
    total.backward()
    assert x.grad.tolist() == [[0, 2, 2], [2, 2, 2]]


ERRORS = {
    "view": (lambda x: x.view(5), RuntimeError, "shape '[5]' is invalid for input of size 12"),
    "strides": (lambda x: x.t().view(-1), RuntimeError, "Use .reshape(...) instead."),
    "view -2": (lambda x: x.view(-2, 6), RuntimeError, "invalid shape dimension -2 at index 0"),
    "view type": (lambda x: x.view("a"), TypeError, "received an invalid combination"),
    "two holes": (lambda x: x.reshape(-1, -1), RuntimeError, "only one dimension can be inferred"),
    "expand": (
        lambda x: x.expand(3, 5),
        RuntimeError,
        "The expanded size of the tensor (5) must match the existing size (4) at non-singleton "
        "dimension 1.  Target sizes: [3, 5].  Tensor sizes: [3, 4]",
    ),
    "permute": (lambda x: x.permute(0, 0), RuntimeError, "duplicate dims are not allowed"),
    "transpose": (
        lambda x: x.transpose(0, 2),
        IndexError,
        "Dimension out of range (expected to be in range of [-2, 1], but got 2)",
    ),
    "t": (lambda x: x[None].t(), RuntimeError, "t() expects a tensor with <= 2 dimensions"),
    "select": (
        lambda x: x.select(0, 3),
        IndexError,
        "select(): index 3 out of range for tensor of size [3, 4] at dimension 0",
    ),
    "narrow": (
        lambda x: x.narrow(0, 1, 3),
        RuntimeError,
        "start (1) + length (3) exceeds dimension size (3).",
    ),
    "split": (
        lambda x: x.split([1, 1]),
        RuntimeError,
        "split_with_sizes expects split_sizes to sum exactly to 3 (input tensor's size at "
        "dimension 0), but got split_sizes=[1, 1]",
    ),
    "chunk": (lambda x: x.chunk(0), RuntimeError, "chunk expects `chunks` to be greater than 0"),
    "hsplit": (lambda x: x.hsplit(3), RuntimeError, "is not divisible by the split_size 3!"),
    "unfold": (
        lambda x: x.unfold(0, 4, 1),
        RuntimeError,
        "maximum size for tensor at dimension 0 is 3 but size is 4",
    ),
    "as_strided": (lambda x: x.as_strided((13,), (1,)), RuntimeError, "are out of bounds for"),
    "unflatten": (lambda x: x.unflatten(1, (3, 2)), RuntimeError, "don't multiply up to the size"),
    "no tensor": (lambda x: torch.flatten(3), TypeError, "must be Tensor, not int"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_say_what_pytorch_says(name):
    wrong, kind, phrase = ERRORS[name]
    with pytest.raises(kind) as caught:
        wrong(torch.zeros(3, 4))
    assert phrase in str(caught.value)
