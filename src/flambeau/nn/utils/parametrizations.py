"""Parametrizations that are often asked for: orthogonal matrices, weights of a given norm."""

from __future__ import annotations

from typing import Any

from ..._dtypes import finfo
from ...core.modes import no_grad
from ...core.value import Value
from ...functions.distances import norm_except_dim, normalize
from ...ops.factorisations import geqrf, householder_product
from ...ops.joining import cat
from ...ops.solving import matrix_exp, solve
from ...tensor._creation import eye, zeros_like
from ...tensor._random import randn
from ..modules.module import Module
from .parametrize import register_parametrization
from .spectral_norm import as_matrix, default_dim

_MAPS = ("matrix_exp", "cayley", "householder")


def _householder(tall: Value) -> Value:
    """The orthogonal factor of ``tall``, its signs such that R's diagonal is positive."""
    packed, tau = geqrf(tall)
    q = householder_product(packed, tau)
    return q * packed.diagonal(dim1=-2, dim2=-1).sgn().unsqueeze(-2)


def _is_orthogonal(q: Value, eps: float | None = None) -> bool:
    n, k = q.shape[-2:]
    if n < k:
        return False
    eye_k = eye(k, dtype=q.dtype, device=q.device)
    eps = 10.0 * n * finfo(q.dtype).eps if eps is None else eps
    return bool(((q.mH @ q) - eye_k).abs().max() <= eps) if k else True


class _Orthogonal(Module):
    """X to a matrix with orthonormal columns (or rows, where there are fewer), by one of three
    maps; with ``use_trivialization``, times the matrix that was there at the beginning."""

    base: Value | None

    def __init__(self, weight: Value, orthogonal_map: str, *, use_trivialization: bool) -> None:
        super().__init__()
        if weight.is_complex() and orthogonal_map == "householder":
            raise ValueError("The householder parametrization does not support complex tensors.")
        self.shape = weight.shape
        self.orthogonal_map = orthogonal_map
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, X: Value) -> Value:
        """The orthogonal matrix that X stands for."""
        n, k = X.shape[-2:]
        transposed = n < k
        if transposed:
            X = X.mT
            n, k = k, n
        if self.orthogonal_map == "householder":
            below = X.tril(diagonal=-1)
            tau = 2.0 / (1.0 + (below * below).sum(dim=-2))
            q = householder_product(below, tau)
            # The diagonal of X is +1 or -1: it holds the signs of the columns.
            q = q * X.diagonal(dim1=-2, dim2=-1).int().unsqueeze(-2)
        else:
            X = X.tril()
            if n != k:
                X = cat([X, X.new_zeros((*X.shape[:-2], n, n - k))], dim=-1)
            skew = X - X.mH
            if self.orthogonal_map == "matrix_exp":
                q = matrix_exp(skew)
            else:
                one = eye(n, dtype=skew.dtype, device=skew.device)
                q = solve(one - 0.5 * skew, one + 0.5 * skew)
            if n != k:
                q = q[..., :k]
        if hasattr(self, "base"):
            q = self.base @ q
        return q.mT if transposed else q

    @no_grad()
    def right_inverse(self, Q: Value) -> Value:
        """An X that is mapped to Q. ValueError for another shape."""
        if Q.shape != self.shape:
            raise ValueError(
                f"Expected a matrix or batch of matrices of shape {self.shape}. Got a tensor of "
                f"shape {Q.shape}."
            )
        start = Q
        n, k = Q.shape[-2:]
        transposed = n < k
        if transposed:
            Q = Q.mT
            n, k = k, n
        if not hasattr(self, "base"):
            if self.orthogonal_map != "householder":
                raise NotImplementedError(
                    "It is not possible to assign to the matrix exponential or the Cayley "
                    "parametrizations when use_trivialization=False."
                )
            packed, tau = geqrf(Q)
            diagonal = packed.diagonal(dim1=-2, dim2=-1)
            diagonal.sign_()
            diagonal[tau == 0.0] *= -1
            return packed.mT if transposed else packed
        if n == k:
            Q = Q.clone() if _is_orthogonal(Q) else _householder(Q)
        else:
            more = randn((*Q.shape[:-2], n, n - k), dtype=Q.dtype, device=Q.device)
            Q = _householder(cat([Q, more], dim=-1))
        self.base = Q
        negative = zeros_like(start)
        negative.diagonal(dim1=-2, dim2=-1).fill_(-1.0)
        return negative


def orthogonal(
    module: Module,
    name: str = "weight",
    orthogonal_map: str | None = None,
    *,
    use_trivialization: bool = True,
) -> Module:
    """Keep the matrices of ``module.name`` orthogonal (or unitary).

    ``orthogonal_map``: "matrix_exp" exp(X - X^H), "cayley" (1 - A/2)^-1 (1 + A/2) for
    A = X - X^H, "householder" a product of reflections. Default: matrix_exp for square or complex
    matrices, else householder.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrizations.orthogonal.html
    """
    weight = _tensor_of(module, name)
    if weight.dim() < 2:
        raise ValueError(
            f"Expected a matrix or batch of matrices. Got a tensor of {weight.dim()} dimensions."
        )
    if orthogonal_map is None:
        square = weight.shape[-2] == weight.shape[-1]
        orthogonal_map = "matrix_exp" if square or weight.is_complex() else "householder"
    if orthogonal_map not in _MAPS:
        raise ValueError(
            'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". '
            f"Got: {orthogonal_map}"
        )
    map_ = _Orthogonal(weight, orthogonal_map, use_trivialization=use_trivialization)
    return register_parametrization(module, name, map_, unsafe=True)


def _tensor_of(module: Module, name: str) -> Value:
    weight = getattr(module, name, None)
    if not isinstance(weight, Value):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    return weight


class _WeightNorm(Module):
    """Length and direction to a weight: g v / |v|."""

    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Value, weight_v: Value) -> Value:
        """The weight."""
        return weight_v * (weight_g / norm_except_dim(weight_v, 2, self.dim))

    def right_inverse(self, weight: Value) -> tuple[Value, Value]:
        """Length and direction of a weight."""
        return norm_except_dim(weight, 2, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Learn the length and the direction of ``module.name``: ``original0`` and ``original1``.

    ``dim``: slices along it have lengths of their own; None: one length for all. State_dicts of
    ``nn.utils.weight_norm`` (``name_g``, ``name_v``) are taken as well.
    Source: https://arxiv.org/abs/1602.07868
    """
    register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def take_old_names(state_dict: dict, prefix: str, *rest: Any) -> None:
        olds = [f"{prefix}{name}_g", f"{prefix}{name}_v"]
        if all(old in state_dict for old in olds):
            for i, old in enumerate(olds):
                new = f"{prefix}parametrizations.{name}.original{i}"
                state_dict[new] = state_dict.pop(old)

    module._register_load_state_dict_pre_hook(take_old_names)
    return module


class _SpectralNorm(Module):
    """A weight to itself over its largest singular value, found by power iteration."""

    def __init__(
        self, weight: Value, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12
    ) -> None:
        super().__init__()
        ndim = weight.dim()
        if not -ndim <= dim < ndim:
            raise IndexError(
                "Dimension out of range (expected to be in range of "
                f"[-{ndim}, {ndim - 1}] but got {dim})"
            )
        if n_power_iterations <= 0:
            raise ValueError(
                "Expected n_power_iterations to be positive, but got "
                f"n_power_iterations={n_power_iterations}"
            )
        self.dim = dim if dim >= 0 else dim + ndim
        self.eps = eps
        if ndim > 1:
            self.n_power_iterations = n_power_iterations
            matrix = as_matrix(weight.detach(), self.dim)
            rows, columns = matrix.shape
            u = matrix.new_empty(rows).normal_(0, 1)
            v = matrix.new_empty(columns).normal_(0, 1)
            self.register_buffer("_u", normalize(u, dim=0, eps=eps))
            self.register_buffer("_v", normalize(v, dim=0, eps=eps))
            self._iterate(matrix, 15)

    @no_grad()
    def _iterate(self, matrix: Value, count: int) -> None:
        for _ in range(count):
            self._u.copy_(normalize(matrix.mv(self._v), dim=0, eps=self.eps))
            self._v.copy_(normalize(matrix.mH.mv(self._u), dim=0, eps=self.eps))

    def forward(self, weight: Value) -> Value:
        """weight / sigma."""
        if weight.dim() == 1:
            return normalize(weight, dim=0, eps=self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training:
            self._iterate(matrix, self.n_power_iterations)
        u, v = self._u.clone(), self._v.clone()  # the next call may change them before backward
        return weight / u.vdot(matrix.mv(v))

    def right_inverse(self, value: Value) -> Value:
        """The value itself: it may not have the norm 1."""
        return value


def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """Divide ``module.name`` by its largest singular value, estimated by power iteration.

    ``dim``: the dimension that belongs to the output; None: 1 for transposed convolutions, else 0.
    Source: https://arxiv.org/abs/1802.05957
    """
    weight = _tensor_of(module, name)
    dim = default_dim(module) if dim is None else dim
    norm = _SpectralNorm(weight, n_power_iterations, dim, eps)
    return register_parametrization(module, name, norm)


__all__ = ["orthogonal", "spectral_norm", "weight_norm"]
