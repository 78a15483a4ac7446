"""Factorisations, linear systems, determinants, norms of matrices: the factors make the matrix
again, gradients to second order, batches, odd shapes, errors."""

import importlib.util

import numpy as np
import pytest

import flambeau as torch
from flambeau import _optional
from flambeau.autograd import gradcheck, gradgradcheck

linalg = torch.linalg
RNG = np.random.default_rng(11)
NUMBERS = pytest.mark.parametrize("dtype", [np.float64, np.complex128], ids=["real", "complex"])


def normal(*shape, dtype=np.float64, grad=False):
    """A tensor of normal numbers."""
    x = RNG.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        x = x + 1j * RNG.standard_normal(shape)
    return torch.tensor(np.asarray(x, dtype), requires_grad=grad)


def positive(*shape, dtype=np.float64, grad=False):
    """Positive-definite matrices."""
    a = normal(*shape, dtype=dtype)
    return (a @ a.mH + shape[-1] * torch.eye(shape[-1], dtype=a.dtype)).requires_grad_(grad)


def close(got, want, rtol=1e-9):
    """The same shapes and nearly the same numbers."""
    want = want.detach().numpy() if isinstance(want, torch.Tensor) else want
    assert tuple(got.shape) == np.shape(want)
    np.testing.assert_allclose(got.detach().numpy(), want, rtol=rtol, atol=1e-9)


def hermitian(function):
    """``function`` of the Hermitian part of what it is given, so that any step is allowed."""
    return lambda a: function((a + a.mH) / 2)


def check(function, *inputs):
    """Gradients against finite differences; of real inputs also the second ones."""
    assert gradcheck(function, inputs, check_undefined_grad=False)
    if not inputs[0].is_complex() or inputs[0].numel() <= 4:
        assert gradgradcheck(function, inputs, atol=1e-4, check_undefined_grad=False)


# ---- factors -------------------------------------------------------------------------------


@NUMBERS
@pytest.mark.parametrize("upper", [False, True])
def test_cholesky(dtype, upper):
    a = positive(2, 2, 2, dtype=dtype, grad=True)
    f = linalg.cholesky(a, upper=upper)
    close(f.mH @ f if upper else f @ f.mH, a)
    check(hermitian(lambda t: linalg.cholesky(t, upper=upper)), a)
    close(torch.cholesky_inverse(f, upper), linalg.inv(a))
    b = normal(2, 1, dtype=dtype, grad=True)
    close(torch.cholesky_solve(b, f, upper), linalg.solve(a, b))
    factor = f.detach().requires_grad_()
    triangle = torch.triu if upper else torch.tril
    check(lambda t, u: torch.cholesky_solve(t, triangle(u), upper), b, factor)


@NUMBERS
@pytest.mark.parametrize("shape", [(3, 3), (3, 2), (2, 3), (2, 3, 2)])
def test_qr(dtype, shape):
    a = normal(*shape, dtype=dtype, grad=True)
    for mode in ("reduced", "complete"):
        q, r = linalg.qr(a, mode)
        close(q @ r, a)
        close(q.mH @ q, torch.eye(q.shape[-1], dtype=q.dtype).expand(*q.shape[:-2], -1, -1))
        assert not r.detach().tril(-1).any()
    check(lambda t: tuple(linalg.qr(t)), a)
    _, r = linalg.qr(a, "r")
    close(r, linalg.qr(a)[1])
    with pytest.raises(RuntimeError, match="mode='r'"):
        r.abs().sum().backward()


@NUMBERS
@pytest.mark.parametrize("shape", [(3, 3), (3, 2), (2, 2, 3), (70, 70)])
def test_lu(dtype, shape):
    a = normal(*shape, dtype=dtype, grad=True)
    p, lower, upper = linalg.lu(a)
    close(p @ lower @ upper, a)
    factors, pivots = linalg.lu_factor(a)
    for part, again in zip((p, lower, upper), torch.lu_unpack(factors, pivots), strict=True):
        close(again, part)
    assert (lower.detach().abs() <= (1 if dtype is np.float64 else 2**0.5) + 1e-12).all()
    if a.numel() < 100:
        check(lambda t: linalg.lu(t)[1:], a)
    if shape == (70, 70):
        np.testing.assert_allclose(
            linalg.lu(a, pivot=False)[1].detach() @ linalg.lu(a, pivot=False)[2].detach(),
            a.detach(), rtol=1e-6, atol=1e-6,
        )  # fmt: skip


@NUMBERS
@pytest.mark.parametrize("left", [True, False])
@pytest.mark.parametrize("adjoint", [True, False])
def test_lu_solve(dtype, left, adjoint):
    a, b = normal(2, 2, 2, dtype=dtype, grad=True), normal(2, 2, dtype=dtype, grad=True)

    def solved(m, right):
        return linalg.lu_solve(*linalg.lu_factor(m), right, left=left, adjoint=adjoint)

    x, m = solved(a, b), a.mH if adjoint else a
    close(m @ x if left else x @ m, b.expand(2, 2, 2))
    check(solved, a, b)


@NUMBERS
def test_eigenvalues_of_hermitian_matrices(dtype):
    a = positive(2, 2, 2, dtype=dtype, grad=True)
    values, vectors = linalg.eigh(a)
    close(vectors @ values.to(vectors.dtype).diag_embed() @ vectors.mH, a)
    close(linalg.eigvalsh(a), values)
    check(hermitian(linalg.eigvalsh), a)
    check(hermitian(lambda t: linalg.eigh(t)[1].abs()), a)  # absolute: of no phase
    lower = a.detach().tril() + torch.full((2, 2), 9.0, dtype=torch.float64).triu(1)
    close(linalg.eigvalsh(lower), values)


@NUMBERS
def test_eigenvalues(dtype):
    a = normal(2, 2, 2, dtype=dtype, grad=True)
    values, vectors = linalg.eig(a)
    assert values.dtype is torch.complex128
    close(a.to(vectors.dtype) @ vectors, vectors * values.unsqueeze(-2))
    close(linalg.eigvals(a), values)
    check(lambda t: linalg.eigvals(t).abs(), a)
    check(lambda t: linalg.eig(t)[1].abs(), a)


def rotation(a):
    """The unitary factor of the polar decomposition."""
    u, _, v = torch.svd(a)
    return u @ v.mH


@NUMBERS
@pytest.mark.parametrize("shape", [(3, 3), (3, 2), (2, 2, 3)])
def test_singular_values(dtype, shape):
    a = normal(*shape, dtype=dtype, grad=True)
    for full in (False, True):
        u, s, vh = linalg.svd(a, full)
        k = s.shape[-1]
        close(u[..., :k] * s.unsqueeze(-2) @ vh[..., :k, :], a)
    close(linalg.svdvals(a), s)
    u, s, v = torch.svd(a)
    close(u * s.unsqueeze(-2) @ v.mH, a)
    check(linalg.svdvals, a)
    check(lambda t: [linalg.svd(t, False)[i].abs() for i in (0, 2)], a)
    check(rotation, a)


def test_a_loss_that_depends_on_a_phase_is_refused():
    for function in (linalg.eigh, linalg.svd):
        a = positive(3, 3, dtype=np.complex128, grad=True)
        with pytest.raises(RuntimeError, match="ill-defined"):
            function(a)[0 if function is linalg.svd else 1].imag.sum().backward()


@NUMBERS
@pytest.mark.parametrize("shape", [(2, 2), (3, 2), (2, 3, 2)])
def test_reflections(dtype, shape):
    a = normal(*shape, dtype=dtype)
    h, tau = torch.geqrf(a)
    q, r = linalg.qr(a)
    close(linalg.householder_product(h, tau), q)
    close(h.triu()[..., :2, :], r)
    c = normal(*shape[:-2], shape[-2], 2, dtype=dtype)
    whole = linalg.qr(a, "complete")[0]
    close(torch.ormqr(h, tau, c), whole @ c)
    close(torch.ormqr(h, tau, c, transpose=True), whole.mH @ c)
    close(torch.ormqr(h, tau, c.mT, left=False), c.mT @ whole)
    check(linalg.householder_product, h.requires_grad_(), tau.requires_grad_())


@pytest.mark.skipif(importlib.util.find_spec("scipy") is None, reason="LDL factors need SciPy")
@NUMBERS
@pytest.mark.parametrize("hermitian", [False, True])
def test_ldl(dtype, hermitian):
    a = normal(2, 5, 5, dtype=dtype)
    a = a + (a.mH if hermitian else a.mT)
    b = normal(5, 2, dtype=dtype)
    factors, pivots = linalg.ldl_factor(a, hermitian=hermitian)
    close(a @ linalg.ldl_solve(factors, pivots, b, hermitian=hermitian), b.expand(2, 5, 2))


def test_ldl_without_scipy_names_the_command(monkeypatch):
    def absent(module):
        raise ModuleNotFoundError(f"No module named {module!r}", name="scipy")

    monkeypatch.setattr(_optional.importlib, "import_module", absent)
    with pytest.raises(ModuleNotFoundError, match="torch.linalg.ldl_factor needs scipy"):
        linalg.ldl_factor(torch.eye(2))


# ---- systems -------------------------------------------------------------------------------


@NUMBERS
@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("unit", [False, True])
def test_triangular_systems(dtype, upper, left, unit):
    def solved(m, right):
        return linalg.solve_triangular(m, right, upper=upper, left=left, unitriangular=unit)

    for n in (3, 71):
        a = normal(n, n, dtype=dtype) / n + 2 * torch.eye(n)
        b = normal(2, n, 4, dtype=dtype) if left else normal(2, 4, n, dtype=dtype)
        t = a.triu(int(unit)) if upper else a.tril(-int(unit))
        t = t + torch.eye(n) if unit else t
        x = solved(a, b)
        close(t @ x if left else x @ t, b)
        if n == 3:
            check(solved, a.requires_grad_(), b.requires_grad_())


def test_a_zero_on_the_diagonal_of_a_triangular_system_gives_inf():
    x = linalg.solve_triangular(torch.tensor([[1.0, 1], [0, 0]]), torch.ones(2, 1), upper=True)
    assert x.flatten().tolist() == [-float("inf"), float("inf")]
    x, copy = torch.triangular_solve(torch.ones(2, 1), torch.tensor([[2.0, 0], [0, 4]]))
    assert x.flatten().tolist() == [0.5, 0.25]
    assert copy.tolist() == [[2, 0], [0, 4]]


@NUMBERS
def test_general_systems(dtype):
    a, b = normal(2, 2, 2, dtype=dtype, grad=True), normal(2, 3, dtype=dtype, grad=True)
    close(a @ linalg.solve(a, b), b.expand(2, 2, 3))
    close(linalg.solve(a, b.mT, left=False) @ a, b.mT.expand(2, 3, 2))
    vectors = normal(2, 2, dtype=dtype, grad=True)
    close((a @ linalg.solve(a, vectors).unsqueeze(-1)).squeeze(-1), vectors)
    close(a[0] @ linalg.solve(a, vectors[0])[0], vectors[0])
    check(linalg.solve, a, b)
    check(lambda m, v: linalg.solve(m, v.mT, left=False), a, b)
    check(linalg.solve, a, vectors)


@NUMBERS
def test_inverses(dtype):
    a = normal(2, 2, 2, dtype=dtype, grad=True)
    close(a @ linalg.inv(a), torch.eye(2, dtype=a.dtype).expand(2, 2, 2))
    check(torch.inverse, a)
    close(linalg.tensorinv(normal(6, 2, 3), 1).flatten(0, 1)[:0], np.zeros((0, 6)))
    m, v = normal(2, 3, 6), normal(2, 3)
    close(torch.tensordot(m, linalg.tensorsolve(m, v), 1), v)


@NUMBERS
@pytest.mark.parametrize("shape", [(2, 2), (3, 2), (2, 2, 3)])
def test_pseudo_inverses_and_least_squares(dtype, shape):
    a = normal(*shape, dtype=dtype, grad=True)
    close(linalg.pinv(a), np.linalg.pinv(a.detach().numpy()))
    check(linalg.pinv, a)
    b = normal(*shape[:-1], 2, dtype=dtype, grad=True)
    x, residuals, rank, values = linalg.lstsq(a, b, driver="gelsd")
    close(x, linalg.pinv(a) @ b)
    close(values, linalg.svdvals(a))
    assert (rank == 2).all()
    if shape == (3, 2):
        close(residuals, (a @ x - b).abs().square().sum(-2))
    check(lambda m, r: linalg.lstsq(m, r)[0], a, b)


def test_pseudo_inverses_of_matrices_of_lower_rank():
    a = normal(5, 2) @ normal(2, 3)
    close(linalg.pinv(a), np.linalg.pinv(a.numpy(), 1e-10))
    assert linalg.matrix_rank(a).item() == 2
    assert linalg.matrix_rank(torch.zeros(2, 3, 3)).tolist() == [0, 0]
    assert linalg.matrix_rank(torch.tensor([1.0, 0.1, 0.01]).diag(), atol=0.05).item() == 2
    h = positive(3, 3)
    close(linalg.pinv(h, hermitian=True), linalg.inv(h))


# ---- determinants and functions of matrices ------------------------------------------------


@NUMBERS
def test_determinants(dtype):
    a = normal(2, 2, 2, dtype=dtype, grad=True)
    close(linalg.det(a), np.linalg.det(a.detach().numpy()))
    sign, log = linalg.slogdet(a)
    close(sign * log.exp(), linalg.det(a))
    check(linalg.det, a)
    check(lambda t: tuple(linalg.slogdet(t)), a)
    p = positive(3, 3, dtype=dtype, grad=True)
    close(torch.logdet(p).exp(), linalg.det(p))
    check(torch.logdet, p)


def test_determinants_of_singular_matrices():
    for rank in (2, 1, 0):
        a = (normal(3, rank) @ normal(rank, 3)).requires_grad_()
        zero = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
        assert gradcheck(linalg.det, (a,), atol=1e-6)
        assert gradcheck(linalg.det, (zero,), atol=1e-6)
    assert torch.logdet(-torch.eye(3)).isnan()
    assert torch.logdet(torch.zeros(3, 3)).item() == -float("inf")
    assert linalg.det(torch.zeros(0, 0)).item() == 1


@NUMBERS
def test_exponentials(dtype):
    a = normal(2, 2, 2, dtype=dtype, grad=True)
    check(torch.matrix_exp, a)
    values, vectors = linalg.eig(a * 9)
    want = vectors @ values.exp().diag_embed() @ linalg.inv(vectors)
    close(linalg.matrix_exp(a * 9) / want.abs(), want / want.abs(), 1e-6)
    close(linalg.matrix_exp(torch.zeros(2, 2)), np.eye(2))


@NUMBERS
@pytest.mark.parametrize("ord", ["fro", "nuc", 2, -2, 1, -1, float("inf"), -float("inf")])
def test_norms_of_matrices(dtype, ord):
    a = normal(3, 5, dtype=dtype, grad=True)
    want = np.linalg.norm(a.detach().numpy(), ord)
    close(linalg.matrix_norm(a, ord), want)
    close(linalg.norm(a, ord), want)
    close(linalg.norm(a.unsqueeze(1), ord, dim=(0, 2), keepdim=True), [[[want]]])
    assert gradcheck(lambda t: linalg.matrix_norm(t, ord), (a,))
    square = normal(3, 3, dtype=dtype)
    close(linalg.cond(square, ord), np.linalg.cond(square.numpy(), ord))


def test_norms_of_nothing():
    assert linalg.matrix_norm(torch.zeros(0, 3), 2).item() == 0
    assert linalg.norm(torch.zeros(0)).item() == 0
    assert linalg.cond(torch.zeros(2, 2), 1).item() == float("inf")


def test_low_rank_approximations():
    a = normal(20, 3) @ normal(3, 10)
    for u, s, v in (torch.svd_lowrank(a, 3), torch.svd_lowrank(a.mT, 3)):
        m = a if u.shape[0] == 20 else a.mT
        close(u * s @ v.mT, m)
    u, s, v = torch.pca_lowrank(a, 3)
    close(u * s @ v.mT, a - a.mean(0))


# ---- odd shapes, dtypes, out= --------------------------------------------------------------


def test_empty_matrices():
    for shape in ((0, 0), (2, 0, 0), (0, 3, 3)):
        a = torch.zeros(shape)
        for function in (linalg.cholesky, linalg.inv, linalg.matrix_exp, torch.cholesky_inverse):
            assert function(a).shape == a.shape
        for function in (linalg.det, linalg.cond):
            assert tuple(function(a).shape) == shape[:-2]
        for function in (linalg.qr, linalg.svd, linalg.eigh, linalg.eig, linalg.lu_factor):
            function(a)
    assert tuple(linalg.svd(torch.zeros(0, 3))[2].shape) == (3, 3)
    assert tuple(linalg.solve(torch.zeros(0, 0), torch.zeros(0, 2)).shape) == (0, 2)


def test_single_precision_stays_single():
    for d in (torch.float32, torch.complex64):
        a = positive(3, 3).to(d)
        for function in (linalg.inv, linalg.cholesky, linalg.det, linalg.matrix_exp, linalg.pinv):
            assert function(a).dtype is d
        for function in (linalg.svdvals, linalg.eigvalsh, linalg.cond, linalg.matrix_norm):
            assert function(a).dtype is torch.float32
        assert linalg.eig(a)[0].dtype is torch.complex64


def test_results_go_where_out_says():
    a = positive(3, 3)
    out = torch.empty(3, 3, dtype=torch.float64)
    assert linalg.inv(a, out=out) is out
    close(out, np.linalg.inv(a.numpy()))
    pair = (torch.empty(3, dtype=torch.float64), out)
    got = linalg.eigh(a, out=pair)
    assert got.eigenvalues is pair[0]
    close(pair[1] * pair[0] @ pair[1].mT, a)


def test_results_have_names():
    r = linalg.svd(torch.eye(2))
    assert r.S is r[1]
    assert type(r).__name__ == "linalg_svd"
    assert linalg.slogdet(torch.eye(2)).logabsdet.item() == 0


# ---- errors --------------------------------------------------------------------------------

ZERO = torch.stack([torch.eye(3), torch.zeros(3, 3)])


@pytest.mark.parametrize(
    "call, error, phrase",
    [
        (lambda: linalg.cholesky(-torch.eye(3)), linalg.LinAlgError, "leading minor of order 1 is"),
        (lambda: linalg.cholesky(torch.tensor([1.0, 1, -1]).diag()), linalg.LinAlgError, "order 3"),
        (lambda: linalg.cholesky(ZERO), linalg.LinAlgError, r"\(Batch element 1\): The fact"),
        (
            lambda: linalg.inv(ZERO),
            linalg.LinAlgError,
            r"1\): The diagonal element 1",
        ),
        (lambda: linalg.solve(ZERO, torch.ones(3)), linalg.LinAlgError, "matrix is singular"),
        (lambda: linalg.lu_factor(ZERO), RuntimeError, r"U\[1,1\] is zero"),
        (
            lambda: linalg.det(torch.ones(2, 3)),
            RuntimeError,
            "but they are 2 by 3",
        ),
        (lambda: linalg.qr(torch.ones(3)), RuntimeError, "at least 2 dimensions"),
        (lambda: linalg.svd(torch.ones(2, 2).long()), RuntimeError, "Got Long"),
        (lambda: linalg.inv(torch.eye(2).half()), RuntimeError, "Low precision"),
        (lambda: linalg.cholesky(torch.eye(2).half()), NotImplementedError, "'Half'"),
        (lambda: linalg.svd(torch.full((2, 2), float("nan"))), linalg.LinAlgError, "non-finite"),
        (lambda: linalg.eig(torch.full((2, 2), float("nan"))), RuntimeError, "infs or NaNs"),
        (
            lambda: linalg.solve(torch.eye(3), torch.ones(2)),
            RuntimeError,
            r"\(3x3 and 2x1\)",
        ),
        (lambda: linalg.solve(torch.eye(3), torch.ones(3).double()), RuntimeError, "same dtype"),
        (lambda: linalg.eigh(torch.eye(3), "x"), RuntimeError, "'L' or 'U'"),
        (lambda: linalg.qr(torch.eye(3), "x"), RuntimeError, "unrecognized mode"),
        (lambda: linalg.lstsq(torch.eye(3), torch.ones(3), driver="x"), RuntimeError, "driver"),
        (lambda: linalg.matrix_norm(torch.eye(3), 3), RuntimeError, "Order 3 not supported"),
        (lambda: linalg.matrix_norm(torch.eye(3), dim=(0, 0)), RuntimeError, "must be different"),
        (lambda: linalg.norm(torch.ones(2, 2, 2), 2), RuntimeError, "must be 1D or 2D"),
        (lambda: linalg.cond(torch.eye(3), "x"), RuntimeError, "invalid norm type"),
        (
            lambda: torch.cholesky_solve(torch.ones(2, 2), torch.eye(3)),
            RuntimeError,
            "Incompatible",
        ),
        (lambda: torch.lu_unpack(torch.eye(3), torch.ones(3)), RuntimeError, "torch.int32"),
    ],
)
def test_errors(call, error, phrase):
    with pytest.raises(error, match=phrase):
        call()


def test_information_instead_of_an_error():
    inverse, info = linalg.inv_ex(ZERO)
    assert info.tolist() == [0, 1]
    assert inverse[0].tolist() == torch.eye(3).tolist()
    assert linalg.cholesky_ex(ZERO).info.tolist() == [0, 1]
    assert linalg.solve_ex(ZERO, torch.ones(3)).info.tolist() == [0, 1]
    assert linalg.lu_factor_ex(ZERO).info.tolist() == [0, 1]


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("number", [0.0, float("inf"), float("nan"), 1e30, 1e-30])
def test_odd_numbers_warn_of_nothing(number):
    a = torch.full((3, 3), number)
    for function in (linalg.det, linalg.slogdet, linalg.inv_ex, torch.fft.fft, torch.fft.rfft):
        function(a)
    linalg.solve_triangular(a, a, upper=True)
    for function in (linalg.svd, linalg.svdvals, linalg.pinv, linalg.eigvalsh, linalg.eigh):
        if np.isfinite(number):
            function(a)
        else:
            with pytest.raises(linalg.LinAlgError, match="non-finite"):
                function(a)
