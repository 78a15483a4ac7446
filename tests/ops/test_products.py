"""Products of matrices and what is made of them: values against NumPy, gradients to second order,
dtypes, odd shapes, errors."""

import numpy as np
import pytest

import flambeau as torch
from flambeau.autograd import gradcheck, gradgradcheck

RNG = np.random.default_rng(7)


def normal(*shape, dtype=np.float64, grad=False):
    """A tensor of normal numbers."""
    x = RNG.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        x = x + 1j * RNG.standard_normal(shape)
    return torch.tensor(np.asarray(x, dtype), requires_grad=grad)


def same(got, want, rtol=1e-12):
    """``got`` has the shape of the array ``want`` and its values."""
    assert tuple(got.shape) == np.shape(want)
    np.testing.assert_allclose(got.detach().numpy(), want, rtol=rtol, atol=1e-12)


PAIRS = {
    "mm": (torch.mm, (2, 3), (3, 5)),
    "mv": (torch.mv, (2, 3), (3,)),
    "dot": (torch.dot, (3,), (3,)),
    "vdot": (torch.vdot, (3,), (3,)),
    "bmm": (torch.bmm, (2, 3, 5), (2, 5, 1)),
    "matmul broadcast": (torch.matmul, (2, 1, 3, 5), (3, 5, 2)),
    "matmul row": (torch.matmul, (3,), (2, 3, 5)),
    "matmul column": (torch.matmul, (2, 5, 3), (3,)),
    "outer": (torch.outer, (2,), (3,)),
    "inner": (torch.inner, (2, 3), (5, 3)),
    "kron": (torch.kron, (2, 3), (3, 1, 2)),
    "cross": (torch.linalg.cross, (2, 3), (1, 3)),
    "vecdot": (torch.linalg.vecdot, (2, 3), (3,)),
    "tensordot": (lambda a, b: torch.tensordot(a, b, ([2, 0], [0, 1])), (2, 3, 5), (5, 2, 1)),
}
TWINS = {
    "outer": np.outer, "kron": np.kron, "cross": np.cross, "inner": np.inner, "vdot": np.vdot,
    "vecdot": lambda a, b: (a.conj() * b).sum(-1),
    "tensordot": lambda a, b: np.tensordot(a, b, ([2, 0], [0, 1])),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float64, np.complex128], ids=["real", "complex"])
@pytest.mark.parametrize("name", PAIRS)
def test_products_of_two(name, dtype):
    function, left, right = PAIRS[name]
    a, b = normal(*left, dtype=dtype, grad=True), normal(*right, dtype=dtype, grad=True)
    twin = TWINS.get(name, np.matmul)
    same(function(a, b), twin(a.detach().numpy(), b.detach().numpy()))
    assert gradcheck(function, (a, b))
    assert gradgradcheck(function, (a, b))


ADDED = {
    torch.addmm: ((3,), (2, 3), (3, 3), lambda a, b: a @ b),
    torch.addmv: ((2,), (2, 3), (3,), lambda a, b: a @ b),
    torch.addr: ((2, 1), (2,), (3,), np.outer),
    torch.baddbmm: ((2, 1, 3), (2, 5, 2), (2, 2, 3), np.matmul),
    torch.addbmm: ((3,), (2, 5, 2), (2, 2, 3), lambda a, b: (a @ b).sum(0)),
}


@pytest.mark.parametrize("function", ADDED, ids=lambda f: f.__name__)
def test_products_added_to_a_tensor(function):
    shape, left, right, twin = ADDED[function]
    for dtype, beta, alpha in ((np.float64, 0.5, 2), (np.complex128, 1 - 2j, 0.5j)):
        x, a, b = (normal(*s, dtype=dtype, grad=True) for s in (shape, left, right))

        def scaled(*operands, beta=beta, alpha=alpha):
            return function(*operands, beta=beta, alpha=alpha)

        arrays = [t.detach().numpy() for t in (x, a, b)]
        same(scaled(x, a, b), beta * arrays[0] + alpha * twin(*arrays[1:]))
        assert gradcheck(scaled, (x, a, b))
        assert gradgradcheck(scaled, (x, a, b))
    whole = torch.zeros(twin(*arrays[1:]).shape, dtype=torch.complex128)
    method = getattr(whole, function.__name__ + "_")
    assert method(a.detach(), b.detach()) is whole
    same(whole, twin(*arrays[1:]))


def test_a_beta_of_zero_ignores_even_nan():
    nan = torch.full((2, 2), float("nan"))
    assert torch.addmm(nan, torch.ones(2, 3), torch.ones(3, 2), beta=0).tolist() == [[3, 3]] * 2


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "int64", "int8", "uint8", "complex64"])
def test_dtypes_of_products(dtype):
    d = getattr(torch, dtype)
    a, b = torch.arange(6).reshape(2, 3).to(d), torch.arange(6).reshape(3, 2).to(d)
    for r in (a @ b, torch.addmm(torch.zeros(2, 2, dtype=d), a, b), torch.einsum("ij,jk", a, b)):
        assert r.dtype is d
        assert r.to(torch.complex64).real.tolist() == [[10, 13], [28, 40]]


def test_products_of_nothing():
    assert torch.zeros(2, 0).mm(torch.zeros(0, 3)).tolist() == [[0, 0, 0]] * 2
    assert tuple((torch.zeros(2, 3, 0) @ torch.zeros(0, 5)).shape) == (2, 3, 5)
    assert tuple((torch.zeros(0, 3) @ torch.zeros(3)).shape) == (0,)
    assert torch.tensordot(torch.zeros(2, 0), torch.zeros(0, 2), 1).tolist() == [[0, 0]] * 2
    assert torch.einsum("ij,jk->ik", torch.zeros(2, 0), torch.zeros(0, 1)).tolist() == [[0]] * 2


def test_products_of_views():
    a, b = normal(5, 3).t(), normal(4, 10)[::2, ::5].t()
    same(a[:, :2] @ b, a.numpy()[:, :2] @ b.numpy())
    same(torch.einsum("ij,jk->ki", a[:, :2], b), (a.numpy()[:, :2] @ b.numpy()).T)


# ---- einsum --------------------------------------------------------------------------------

EQUATIONS = {
    "ij,jk->ik": ((2, 3), (3, 5)),
    "ij,jk": ((2, 3), (3, 5)),
    "ij->ji": ((2, 3),),
    "ii->i": ((3, 3),),
    "ii": ((3, 3),),
    "iij->j": ((2, 2, 3),),
    "ij->": ((2, 3),),
    "i,i,i->i": ((3,), (3,), (3,)),
    "bij,bjk->bik": ((2, 3, 5), (2, 5, 1)),
    "bhqd,bhkd->bhqk": ((2, 3, 5, 2), (2, 3, 7, 2)),
    "...ij,...jk->...ik": ((2, 3, 5), (5, 2)),
    "b...i,i->...b": ((2, 3, 5), (5,)),
    "ba,dc,cde->abe": ((2, 3), (5, 2), (2, 5, 3)),
    "ij,kl->ijkl": ((2, 3), (5, 2)),
    "ijk,ilm,njm,nlk,abc->": ((1, 2, 3), (1, 2, 3), (2, 2, 3), (2, 2, 3), (2, 1, 2)),
    " a b , b c -> a c ": ((2, 3), (3, 5)),
    "Ab,bC->CA": ((2, 3), (3, 5)),
}


@pytest.mark.parametrize("equation", EQUATIONS)
def test_einsum(equation):
    operands = [normal(*shape, grad=True) for shape in EQUATIONS[equation]]
    want = np.einsum(equation.replace(" ", ""), *[t.detach().numpy() for t in operands])
    same(torch.einsum(equation, *operands), want)
    same(torch.einsum(equation, operands), want)
    assert gradcheck(lambda *ts: torch.einsum(equation, *ts), tuple(operands))


def test_einsum_of_lists_of_numbers():
    a, b = normal(2, 3), normal(2, 3, 5)
    same(torch.einsum(a, [0, 1], b, [..., 1, 2], [..., 0, 2]), a.numpy() @ b.numpy())
    same(torch.einsum(a, [1, 0]), a.numpy().T)


def test_einsum_stretches_sizes_of_one():
    a, b = normal(2, 1), normal(3, 5)
    same(torch.einsum("ij,jk->ik", a, b), a.numpy() * b.numpy().sum(0))
    same(torch.einsum("ij,ij->ij", a, normal(1, 3).fill_(2)), np.repeat(2 * a.numpy(), 3, 1))


@pytest.mark.parametrize(
    "arguments, phrase",
    [
        (("ij,jk->il", (2, 3), (3, 5)), "subscript l does not appear in the equation"),
        (("ij,jk", (2, 3), (5, 5)), "subscript j has size 5 for operand 1"),
        (("ij,jk", (2, 3)), "fewer operands were provided"),
        (("ij", (2, 3), (3, 5)), "more operands were provided"),
        (("ijk", (2, 3)), r"number of subscripts in the equation \(3\) does not match"),
        (("i1", (2, 3)), "invalid subscript given at index 1"),
        (("i.j", (2, 3)), r"found '\.' for operand 0 that is not part of any ellipsis"),
        (("...i...", (2, 3)), "an ellipsis was already found"),
        (("ij->ii", (2, 3)), "output subscript i appears more than once"),
        (("ii", (2, 3)), "subscript i is repeated for operand 0 but the sizes don't match"),
    ],
)
def test_errors_of_einsum(arguments, phrase):
    equation, *shapes = arguments
    with pytest.raises(RuntimeError, match=phrase):
        torch.einsum(equation, *[normal(*s) for s in shapes])


# ---- chains, powers, bilinear maps ---------------------------------------------------------


def test_a_chain_is_multiplied_in_the_cheapest_order():
    chain = [normal(*s, grad=True) for s in ((2,), (2, 7), (7, 3), (3, 5), (5,))]
    want = np.linalg.multi_dot([t.detach().numpy() for t in chain])
    same(torch.linalg.multi_dot(chain), want, 1e-10)
    assert gradcheck(lambda *ts: torch.linalg.multi_dot(ts), tuple(chain))
    same(torch.chain_matmul(chain[1], chain[2]), (chain[1] @ chain[2]).detach().numpy())


@pytest.mark.parametrize("n", [-3, -1, 0, 1, 2, 5])
def test_powers_of_matrices(n):
    a = normal(2, 3, 3, grad=True)
    same(torch.matrix_power(a, n), np.linalg.matrix_power(a.detach().numpy(), n), 1e-9)
    assert gradcheck(lambda t: torch.linalg.matrix_power(t, n), (a,))


def test_vandermonde_matrices():
    x = normal(3)
    same(torch.vander(x), np.vander(x.numpy()))
    same(torch.vander(x, 2, True), np.vander(x.numpy(), 2, True))
    same(torch.linalg.vander(x, N=4), np.vander(x.numpy(), 4, True))


def test_bilinear_maps():
    a, b, w, c = (normal(*s, grad=True) for s in ((2, 3), (2, 5), (7, 3, 5), (7,)))
    arrays = [t.detach().numpy() for t in (a, b, w)]
    want = np.einsum("bn,bm,onm->bo", *arrays) + c.detach().numpy()
    same(torch.bilinear(a, b, w, c), want)
    assert gradcheck(torch.bilinear, (a, b, w, c))


# ---- errors --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call, error, phrase",
    [
        (lambda t: torch.ones(2, 3) @ torch.ones(2, 3), RuntimeError, r"\(2x3 and 2x3\)"),
        (lambda t: torch.ones(2, 3) @ torch.ones(2, 3), RuntimeError, r"did you mean x @ W\.T"),
        (lambda t: t.mm(t.double()), RuntimeError, "same dtype"),
        (lambda t: torch.addmm(t, t.double(), t), RuntimeError, "but got Float and Double"),
        (lambda t: torch.addmm(torch.ones(3, 3), t, t), RuntimeError, r"expanded size .* \(2\)"),
        (lambda t: torch.addmm(t, torch.ones(2, 3), t), RuntimeError, r"\(2x3 and 2x2\)"),
        (lambda t: torch.addmm(t, t, "x"), TypeError, "must be Tensor, not str"),
        (lambda t: torch.addmm(t, t, t, alpha=1j), RuntimeError, "without overflow"),
        (lambda t: torch.addmv(t[0], t, torch.ones(3)), RuntimeError, "size mismatch"),
        (lambda t: torch.addr(t, t, t[0]), RuntimeError, "Expected 1-D argument vec1"),
        (lambda t: torch.baddbmm(t, t, t), RuntimeError, "3D tensor"),
        (lambda t: torch.mm(t.bool(), t.bool()), NotImplementedError, "not implemented for 'Bool'"),
        (lambda t: torch.dot(t, t), RuntimeError, "1D tensors expected"),
        (lambda t: torch.outer(t, t), RuntimeError, "Expected 1-D argument self"),
        (lambda t: torch.inner(t, torch.ones(3)), RuntimeError, "last dimension must match"),
        (lambda t: torch.tensordot(t, torch.ones(3, 2), 1), RuntimeError, "contracted dimensions"),
        (lambda t: torch.linalg.cross(t, t), RuntimeError, "must have length 3. Got 2 and 2"),
        (lambda t: torch.linalg.multi_dot([t]), RuntimeError, "at least 2 tensors but got 1"),
        (lambda t: torch.matrix_power(torch.ones(2, 3), 2), RuntimeError, "square matrices"),
        (lambda t: torch.vander(t), RuntimeError, "one-dimensional"),
        (lambda t: torch.bilinear(t, t, t), RuntimeError, "does not match weight size"),
    ],
)
def test_errors(call, error, phrase):
    with pytest.raises(error, match=phrase):
        call(torch.ones(2, 2))
