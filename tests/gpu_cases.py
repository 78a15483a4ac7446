"""What the tests of GPU kernels share: compiled functions with references in float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

import flambeau as torch
import flambeau.nn.functional as F
from flambeau.compiler import scalar
from flambeau.compiler.graph import Graph
from flambeau.compiler.kernel import Kernel, Load, Pass, Reduction, Store, verify
from flambeau.compiler.scalar import FLOAT32

Arrays = list[np.ndarray]


def randn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def layer_norm(x: np.ndarray, w: np.ndarray, b: np.ndarray) -> np.ndarray:
    spread = np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return (x - x.mean(-1, keepdims=True)) / spread * w + b


def layer_norm_gradients(x: np.ndarray, w: np.ndarray, b: np.ndarray) -> Arrays:
    """Of the sum of the squares of the layer norm."""
    rstd = 1 / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    z = (x - x.mean(-1, keepdims=True)) * rstd
    g = 2 * (z * w + b)
    s = g * w
    mean = s.mean(-1, keepdims=True)
    dx = (s - mean - z * (s * z).mean(-1, keepdims=True)) * rstd
    return [dx, (g * z).sum(0), g.sum(0)]


def _layer_norm_gradients(*inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
    x, w, b = (t.detach().requires_grad_() for t in inputs)
    loss = F.layer_norm(x, x.shape[-1:], w, b).square().sum()
    return torch.autograd.grad(loss, [x, w, b])


def _gelu(x: np.ndarray) -> np.ndarray:
    return x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2


#: Name -> the function of tensors, the same of float64 arrays, and float32 operands.
CASES: dict[str, tuple[Callable, Callable, Arrays]] = {
    "elementwise": (
        lambda x, y: torch.tanh(x * y + 0.5) * torch.sigmoid(x - y),
        lambda x, y: np.tanh(x * y + 0.5) / (1 + np.exp(y - x)),
        [randn(7, 33), randn(7, 33, seed=1)],
    ),
    "gelu": (F.gelu, _gelu, [randn(5, 40) * 3]),
    "broadcast": (lambda x, b: (x + b).relu(), lambda x, b: np.maximum(x + b, 0),
                  [randn(3, 50), randn(50)]),
    "sums of rows": (lambda x: x.sum(1), lambda x: x.sum(1), [randn(9, 100)]),
    "sums of long rows": (lambda x: x.sum(1), lambda x: x.sum(1), [randn(3, 1500)]),
    "maxima": (lambda x: (x.amax(1), x.amin(1)), lambda x: [x.max(1), x.min(1)], [randn(9, 20)]),
    "sums of columns": (lambda x: x.sum(0), lambda x: x.sum(0), [randn(23, 70)]),
    "a sum of all": (lambda x: (x * x).sum(), lambda x: (x * x).sum(), [randn(31, 90)]),
    "softmax of short rows": (lambda x: x.softmax(1), softmax, [randn(40, 5)]),
    "softmax": (lambda x: x.softmax(1), softmax, [randn(6, 129)]),
    "softmax of long rows": (lambda x: x.softmax(1), softmax, [randn(2, 1100)]),
    "softmax of columns": (lambda x: x.softmax(0), lambda x: softmax(x, 0), [randn(9, 33)]),
    "layer norm": (
        lambda x, w, b: F.layer_norm(x, x.shape[-1:], w, b), layer_norm,
        [randn(5, 129), randn(129), randn(129, seed=1)],
    ),
    "gradients of layer norm": (
        _layer_norm_gradients, layer_norm_gradients,
        [randn(9, 65), randn(65), randn(65, seed=1)],
    ),
    "gradients of layer norm of long rows": (
        _layer_norm_gradients, layer_norm_gradients,
        [randn(3, 1030), randn(1030), randn(1030, seed=1)],
    ),
}  # fmt: skip


def graph_of(function: Callable, arrays: Arrays) -> Graph:
    """What is captured of ``function``."""
    compiled = torch.compile(function)
    compiled(*(torch.tensor(a) for a in arrays))
    return compiled.variants[0].program.graph


# ---- kernels by hand -----------------------------------------------------------------------


def turned(rows: int, cols: int) -> Kernel:
    """Each row backwards and doubled, by way of a scratch row: out[r, c] = 2 x[r, cols - 1 - c]."""
    x, kept = scalar.input(0, FLOAT32), scalar.input(1, FLOAT32)
    kernel = Kernel(
        rows=(rows,),
        cols=(cols,),
        buffers=[FLOAT32] * 3,
        loads=[Load(0, FLOAT32, (cols, 1), 0), Load(2, FLOAT32, (0, -1), cols - 1)],
        passes=[
            Pass(stores=[Store(2, (0, 1), 0, x * 2)]),
            Pass(stores=[Store(1, (cols, 1), 0, kept)]),
        ],
        slots=[],
        name="turned",
        scratch=[2],
    )
    verify(kernel)
    return kernel


def summed(rows: int, cols: int) -> Kernel:
    """out[r] = the sum of row r."""
    kernel = Kernel(
        rows=(rows,),
        cols=(cols,),
        buffers=[FLOAT32, FLOAT32],
        loads=[Load(0, FLOAT32, (cols, 1), 0)],
        passes=[
            Pass(
                reductions=[Reduction(0, "sum", scalar.input(0, FLOAT32))],
                stores=[Store(1, (1, 0), 0, scalar.reduced(0, FLOAT32), row=True)],
            )
        ],
        slots=[FLOAT32],
        name="summed",
    )
    verify(kernel)
    return kernel
