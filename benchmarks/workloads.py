"""What is timed: one function for each workload, written in PyTorch's API alone.

A workload takes the library's module (PyTorch's or flambeau's), builds its inputs, and returns a
function that does one unit of the work and returns a tensor. Whoever runs it seeds the generator
first, so that both libraries get the same inputs, and compares the sums of the first results, so
that neither can be fast by doing something else.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Torch = Any  # the module, PyTorch's or flambeau's
Unit = Callable[[], Any]

AMD, INTEL = "AuthenticAMD", "GenuineIntel"


@dataclass(frozen=True)
class Workload:
    """One line of the table.

    `mark` is the most that flambeau's figure over PyTorch's may be, one number or one for each
    maker of processors; None where no mark was set. `measures` is "time", "memory" or "import".
    `compiled` is the mark of the compiled unit.
    """

    name: str
    title: str
    unit: str
    build: Callable[[Torch], Unit] | None  # None for an import, which child.py does itself
    mark: float | Mapping[str, float] | None
    measures: str
    compiled: float | None = None  # the same for the unit under flambeau.compile


WORKLOADS: dict[str, Workload] = {}


def workload(
    title: str,
    unit: str,
    mark: float | Mapping[str, float] | None = None,
    measures: str = "time",
    compiled: float | None = None,
) -> Callable[[Callable[[Torch], Unit]], Callable[[Torch], Unit]]:
    """Enter the decorated builder into `WORKLOADS` under its own name."""

    def enter(build: Callable[[Torch], Unit]) -> Callable[[Torch], Unit]:
        name = build.__name__
        WORKLOADS[name] = Workload(name, title, unit, build, mark, measures, compiled)
        return build

    return enter


# Small tensors: the cost of a call.


@workload("scalar neuron, forward and backward", "neuron", mark=1.0, compiled=0.1)
def neuron(torch: Torch) -> Unit:
    """tanh(x1*w1 + x2*w2 + b) on 0-dim float64 tensors, and the gradient of all five."""
    values = [2.0, 0.0, -3.0, 1.0, 6.8813735870195432]
    x1, x2, w1, w2, b = (
        torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in values
    )

    def unit() -> Any:
        for leaf in (x1, x2, w1, w2, b):
            leaf.grad = None
        torch.tanh(x1 * w1 + x2 * w2 + b).backward()
        return x1.grad

    return unit


@workload("add 32x32, recorded for the gradient", "add", mark=1.0)
def add(torch: Torch) -> Unit:
    """One addition of two leaves that require a gradient."""
    a = torch.randn(32, 32, requires_grad=True)
    b = torch.randn(32, 32, requires_grad=True)
    return lambda: a + b


@workload("add 32x32, forward and backward", "add", mark=1.0)
def add_backward(torch: Torch) -> Unit:
    """One addition, then its backward pass from a gradient of ones."""
    a = torch.randn(32, 32, requires_grad=True)
    b = torch.randn(32, 32, requires_grad=True)
    ones = torch.ones(32, 32)

    def unit() -> Any:
        a.grad = b.grad = None
        (a + b).backward(ones)
        return a.grad

    return unit


@workload("char-MLP step, batch 32, plain tensors", "step", mark=0.9, compiled=0.18)
def char_mlp(torch: Torch) -> Unit:
    """Bengio et al. 2003 as plain tensors: forward, cross entropy, backward, gradient descent."""
    functional = torch.nn.functional
    contexts = torch.randint(0, 27, (20_000, 3))
    targets = torch.randint(0, 27, (20_000,))
    C = torch.randn(27, 10)
    W1 = torch.randn(30, 200) * 0.3
    b1 = torch.zeros(200)
    W2 = torch.randn(200, 27) * 0.01
    b2 = torch.zeros(27)
    parameters = [C, W1, b1, W2, b2]
    for p in parameters:
        p.requires_grad = True

    def unit() -> Any:
        rows = torch.randint(0, 20_000, (32,))
        h = torch.tanh(C[contexts[rows]].view(-1, 30) @ W1 + b1)
        loss = functional.cross_entropy(h @ W2 + b2, targets[rows])
        for p in parameters:
            p.grad = None
        loss.backward()
        for p in parameters:
            p.data += -0.1 * p.grad
        return loss

    return unit


@workload("Linear-ReLU-Linear step, batch 64, Adam", "step", mark=1.0)
def mlp_adam(torch: Torch) -> Unit:
    """784 -> 128 -> 10, as for MNIST, with `nn` and `optim.Adam`."""
    nn = torch.nn
    model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    images = torch.randn(64, 784)
    labels = torch.randint(0, 10, (64,))

    def unit() -> Any:
        loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return unit


# Large tensors: the speed of the kernels.


@workload("chain of 12 elementwise operations, 4 M floats", "chain", mark=0.7, compiled=0.12)
def chain(torch: Torch) -> Unit:
    """tanh(x*y+0.5)*sigmoid(x-y)+exp(-x*x)/(1+y*y)."""
    x = torch.randn(4_000_000)
    y = torch.randn(4_000_000)
    return lambda: torch.tanh(x * y + 0.5) * torch.sigmoid(x - y) + torch.exp(-x * x) / (1 + y * y)


@workload("softmax of 2048x2048 over the last dimension", "softmax", mark=1.0, compiled=0.9)
def softmax(torch: Torch) -> Unit:
    """Rows of 2048 float32."""
    x = torch.randn(2048, 2048)
    return lambda: torch.softmax(x, dim=1)


def _reduction(name: str, over_rows: bool) -> Callable[[Torch], Unit]:
    def build(torch: Torch) -> Unit:
        x = torch.randn(4096, 1024)
        reduce = getattr(x, name)
        return (lambda: reduce(1)) if over_rows else reduce

    where = "rows" if over_rows else "all"
    build.__name__ = f"{name}_{where}"
    build.__doc__ = f"{name} of 4096x1024 float32 over {where}."
    return build


for _name in ("sum", "mean", "var"):
    workload(f"{_name} of 4096x1024 over dimension 1", _name, mark=1.0, compiled=0.3)(
        _reduction(_name, True)
    )
    workload(f"{_name} of 4096x1024 over everything", _name, mark=1.0, compiled=0.3)(
        _reduction(_name, False)
    )


@workload("gather of 100,000 rows of 64", "gather", mark=1.0)
def gather(torch: Torch) -> Unit:
    """Rows of a table of 100,000 by an index tensor, as an embedding does."""
    table = torch.randn(100_000, 64)
    rows = torch.randint(0, 100_000, (100_000,))
    return lambda: table[rows]


@workload("sort of 1 M floats", "sort", mark=1.0)
def sort(torch: Torch) -> Unit:
    """Values and indices, ascending."""
    x = torch.randn(1_000_000)
    return lambda: torch.sort(x)[0]


@workload("product of 1536x1536, float32", "product", mark={AMD: 0.55, INTEL: 1.05})
def matmul(torch: Torch) -> Unit:
    """7.2 GFLOP."""
    a = torch.randn(1536, 1536)
    b = torch.randn(1536, 1536)
    return lambda: a @ b


@workload(
    "convolution 3x3, 64 to 64 channels, 56x56, batch 8", "convolution", mark=0.45, compiled=0.45
)
def conv(torch: Torch) -> Unit:
    """1.85 GFLOP: the middle of a residual network."""
    x = torch.randn(8, 64, 56, 56)
    w = torch.randn(64, 64, 3, 3) / 24
    return lambda: torch.nn.functional.conv2d(x, w, padding=1)


@workload("AdamW step, 10 M parameters in 100 tensors", "step", mark=1.0)
def adamw(torch: Torch) -> Unit:
    """The optimizer alone: 100 tensors of 100x1000 with gradients that stay."""
    parameters = [torch.nn.Parameter(torch.randn(100, 1000)) for _ in range(100)]
    for p in parameters:
        p.grad = torch.randn(100, 1000)
    optimizer = torch.optim.AdamW(parameters, lr=1e-3)

    def unit() -> Any:
        optimizer.step()
        return parameters[0]

    return unit


# Loading data: processes or threads, whichever the library takes for two workers.


@workload("100,000 small samples by 2 workers, batches of 100", "epoch", mark=1.0)
def data_loader(torch: Torch) -> Unit:
    """A dataset in plain Python: a row of 16 floats and a number."""
    loader = _small_samples(torch)

    def unit() -> Any:
        for rows, _ in loader:
            last = rows
        return last

    return unit


@workload("the first batch of 2 workers (to come in 0.2 s)", "batch")
def first_batch(torch: Torch) -> Unit:
    """The same loader, from its iter() to the first batch, and the end of its workers."""
    loader = _small_samples(torch)
    return lambda: next(iter(loader))[0]


def _small_samples(torch: Torch) -> Any:
    data = importlib.import_module(f"{torch.__name__}.utils.data")

    class Samples(data.Dataset):
        def __init__(self) -> None:
            self.rows = torch.randn(100_000, 16)
            self.labels = torch.randint(0, 10, (100_000,)).tolist()

        def __len__(self) -> int:
            return len(self.labels)

        def __getitem__(self, i: int) -> tuple[Any, int]:
            return self.rows[i], self.labels[i]

    return data.DataLoader(Samples(), batch_size=100, shuffle=True, num_workers=2)


# Layers: forward and backward, by the framework's own kernels.


def _gradients(torch: Torch, f: Callable[..., Any], *inputs: Any) -> Unit:
    """One forward pass of ``f`` and the gradients of its inputs."""
    inputs = tuple(x.requires_grad_() for x in inputs)
    g = torch.randn(*f(*inputs).shape)
    return lambda: torch.autograd.grad(f(*inputs), inputs, g)[-1]


@workload("the same convolution, forward and backward", "convolution", mark=1.0)
def conv_gradients(torch: Torch) -> Unit:
    """With the gradients of the input and of the weight."""
    x, w = torch.randn(8, 64, 56, 56), torch.randn(64, 64, 3, 3) / 24
    return _gradients(torch, lambda x, w: torch.nn.functional.conv2d(x, w, padding=1), x, w)


@workload("depthwise 3x3 convolution, 64 channels, batch 8", "convolution", mark=1.0)
def conv_depthwise(torch: Torch) -> Unit:
    """Forward and backward."""
    conv2d = torch.nn.functional.conv2d
    x, w = torch.randn(8, 64, 56, 56), torch.randn(64, 1, 3, 3)
    return _gradients(torch, lambda x, w: conv2d(x, w, padding=1, groups=64), x, w)


@workload("maximum pooling 2x2 of 64x16x28x28", "pooling", mark=1.0)
def max_pool(torch: Torch) -> Unit:
    """Forward and backward."""
    return _gradients(
        torch, lambda x: torch.nn.functional.max_pool2d(x, 2), torch.randn(64, 16, 28, 28)
    )


@workload("layer norm of 4096x1024", "norm", mark=1.0)
def layer_norm(torch: Torch) -> Unit:
    """Forward and backward, with weight and bias."""
    return _gradients(
        torch,
        lambda x, w, b: torch.nn.functional.layer_norm(x, (1024,), w, b),
        torch.randn(4096, 1024), torch.randn(1024), torch.randn(1024),
    )  # fmt: skip


@workload("RMS norm of 4096x1024", "norm", mark=1.0)
def rms_norm(torch: Torch) -> Unit:
    """Forward and backward, with a weight."""
    return _gradients(
        torch,
        lambda x, w: torch.nn.functional.rms_norm(x, (1024,), w),
        torch.randn(4096, 1024), torch.randn(1024),
    )  # fmt: skip


@workload("batch norm of 32x64x28x28, in training", "norm", mark=1.0)
def batch_norm(torch: Torch) -> Unit:
    """Forward and backward, with weight and bias."""
    return _gradients(
        torch,
        lambda x, w, b: torch.nn.functional.batch_norm(x, None, None, w, b, True),
        torch.randn(32, 64, 28, 28), torch.randn(64), torch.randn(64),
    )  # fmt: skip


@workload("causal attention, batch 12, 4 heads, 64x32", "attention", mark=1.0)
def attention(torch: Torch) -> Unit:
    """Forward and backward."""
    q, k, v = (torch.randn(12, 4, 64, 32) for _ in range(3))
    attend = torch.nn.functional.scaled_dot_product_attention
    return _gradients(torch, lambda q, k, v: attend(q, k, v, is_causal=True), q, k, v)


@workload("cross entropy of 4096x1024", "loss", mark=1.0)
def cross_entropy(torch: Torch) -> Unit:
    """Forward and backward, of logits of 1,024 classes."""
    x, labels = torch.randn(4096, 1024).requires_grad_(), torch.randint(0, 1024, (4096,))
    loss = torch.nn.functional.cross_entropy
    return lambda: torch.autograd.grad(loss(x, labels), x)[0]


@workload("product of 1024x1024, bfloat16", "product", mark=1.0, compiled=1.0)
def matmul_bfloat16(torch: Torch) -> Unit:
    """2.1 GFLOP, added in float32."""
    a, b = torch.randn(1024, 1024).bfloat16(), torch.randn(1024, 1024).bfloat16()
    return lambda: a @ b


# Training steps of small models.


@workload("convolutional net's step, 28x28, batch 64", "step", mark=1.2, compiled=0.5)
def conv_net(torch: Torch) -> Unit:
    """Two 3x3 convolutions of 16 and 32 channels with ReLU and pooling, a linear layer, SGD."""
    nn = torch.nn
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 7 * 7, 10),
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    return _steps(torch, model, optimizer, torch.randn(64, 1, 28, 28), 10)


@workload("ResNet step: 3 stages, 32x32, batch 32", "step", compiled=0.6)
def resnet(torch: Torch) -> Unit:
    """Three stages of one residual block, 16 to 64 channels, as for CIFAR-10."""
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self, inner: int, outer: int, stride: int) -> None:
            super().__init__()
            self.one = nn.Conv2d(inner, outer, 3, stride, padding=1, bias=False)
            self.two = nn.Conv2d(outer, outer, 3, padding=1, bias=False)
            self.norm_one, self.norm_two = nn.BatchNorm2d(outer), nn.BatchNorm2d(outer)
            self.way = nn.Conv2d(inner, outer, 1, stride) if stride > 1 else nn.Identity()

        def forward(self, x: Any) -> Any:
            y = nn.functional.relu(self.norm_one(self.one(x)))
            return nn.functional.relu(self.norm_two(self.two(y)) + self.way(x))

    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        Block(16, 16, 1),
        Block(16, 32, 2),
        Block(32, 64, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 10),
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    return _steps(torch, model, optimizer, torch.randn(32, 3, 32, 32), 10)


@workload("LSTM step: 2 layers, width 128, batch 32", "step", mark=1.0, compiled=0.4)
def lstm(torch: Torch) -> Unit:
    """A sequence classifier with Adam."""
    nn = torch.nn

    class Classifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(128, 128, 2, batch_first=True)
            self.head = nn.Linear(128, 10)

        def forward(self, x: Any) -> Any:
            return self.head(self.lstm(x)[0][:, -1])

    model = Classifier()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return _steps(torch, model, optimizer, torch.randn(32, 32, 128), 10)


@workload("GPT step: 4 layers, width 128, batch 12, AdamW", "step", mark=1.0, compiled=0.5)
def gpt(torch: Torch) -> Unit:
    """A character model in the style of minGPT, 4 heads, 65 characters, 64 of context."""
    return _gpt(torch, layers=4, width=128, heads=4, block=64, batch=12)


@workload("GPT step: 6 layers, width 384, 256 long, batch 4", "step", compiled=0.5)
def gpt_large(torch: Torch) -> Unit:
    """The same of the size of nanoGPT's Shakespeare model, 6 heads."""
    return _gpt(torch, layers=6, width=384, heads=6, block=256, batch=4)


def _gpt(torch: Torch, layers: int, width: int, heads: int, block: int, batch: int) -> Unit:
    nn = torch.nn
    characters = 65

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.before_attention, self.before_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.joined = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.mlp = nn.Sequential(
                nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
            )

        def forward(self, x: Any) -> Any:
            shape = x.shape
            parts = self.qkv(self.before_attention(x)).split(width, 2)
            q, k, v = (t.view(*shape[:2], heads, width // heads).transpose(1, 2) for t in parts)
            y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.joined(y.transpose(1, 2).reshape(shape))
            return x + self.mlp(self.before_mlp(x))

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens = nn.Embedding(characters, width)
            self.places = nn.Embedding(block, width)
            self.blocks = nn.Sequential(*[Block() for _ in range(layers)])
            self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, characters)

        def forward(self, tokens: Any) -> Any:
            x = self.tokens(tokens) + self.places(torch.arange(block))
            return self.head(self.norm(self.blocks(x))).view(-1, characters)

    model = Model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    tokens = torch.randint(0, characters, (batch, block))
    return _steps(torch, model, optimizer, tokens, characters, batch * block)


# Steps of apps/in_context.


def _in_context(
    torch: Torch, width: int, layers: int, heads: int, dims: int = 20, points: int = 41
) -> Unit:
    """A step of apps/in_context on linear functions: 64 prompts of full length, Adam."""
    model = _in_context_model(torch)(dims, points, width, layers, heads)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    xs = torch.randn(64, points, dims)
    ys = (xs @ torch.randn(64, dims, 1)).squeeze(2)

    def step() -> Any:
        optimizer.zero_grad()
        loss = (model(xs, ys) - ys).square().mean()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def _in_context_model(torch: Torch) -> Any:
    """The application's transformer, over this library: its file says `import torch`."""
    file = Path(__file__).resolve().parents[1] / "apps" / "in_context" / "model.py"
    spec = importlib.util.spec_from_file_location(f"in_context_model_{torch.__name__}", file)
    module = importlib.util.module_from_spec(spec)
    ours = torch.__name__ == "flambeau"
    if ours:
        compat = importlib.import_module("flambeau.compat")
        compat.install()
    try:
        spec.loader.exec_module(module)
    finally:
        if ours:
            compat.uninstall()
    return module.Transformer


@workload("in-context step, quick: 3 layers of 64, 11 points", "step", compiled=0.4)
def in_context_quick(torch: Torch) -> Unit:
    """1,408 tokens."""
    return _in_context(torch, 64, 3, 2, dims=5, points=11)


@workload("in-context step, tiny: 3 layers of 64, 41 points", "step", compiled=0.4)
def in_context_tiny(torch: Torch) -> Unit:
    """5,248 tokens."""
    return _in_context(torch, 64, 3, 2)


@workload("in-context step, small: 6 layers of 128, 41 points", "step", compiled=0.5)
def in_context_small(torch: Torch) -> Unit:
    """5,248 tokens."""
    return _in_context(torch, 128, 6, 4)


@workload("in-context step, standard: 12 layers of 256", "step", compiled=0.5)
def in_context_standard(torch: Torch) -> Unit:
    """5,248 tokens."""
    return _in_context(torch, 256, 12, 8)


# Memory: the most that training steps add to what the process held before its inputs were made.


@workload("peak memory of an MLP's steps", "step", mark=1.0, measures="memory")
def memory_mlp(torch: Torch) -> Unit:
    """512 -> 2048 -> 2048 -> 10 on a batch of 4096, Adam."""
    nn = torch.nn
    model = nn.Sequential(
        nn.Linear(512, 2048), nn.ReLU(), nn.Linear(2048, 2048), nn.Tanh(), nn.Linear(2048, 10)
    )
    return _training(torch, model, torch.randn(4096, 512), 10)


@workload("peak memory of a convolutional net's steps", "step", mark=1.0, measures="memory")
def memory_conv(torch: Torch) -> Unit:
    """Two 3x3 convolutions of 32 channels on 3x64x64 images, batch 32, Adam."""
    nn = torch.nn
    model = nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 64 * 64, 10),
    )
    return _training(torch, model, torch.randn(32, 3, 64, 64), 10)


WORKLOADS["import_time"] = Workload(
    "import_time", "import, NumPy's own included", "import", None, 1.0, "import"
)


def _training(torch: Torch, model: Any, inputs: Any, classes: int) -> Unit:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return _steps(torch, model, optimizer, inputs, classes)


def _steps(
    torch: Torch, model: Any, optimizer: Any, inputs: Any, classes: int, count: int | None = None
) -> Unit:
    """Steps of ``optimizer`` on the cross entropy of ``count`` labels (one for each input)."""
    labels = torch.randint(0, classes, (count or len(inputs),))

    def unit() -> Any:
        loss = torch.nn.functional.cross_entropy(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return unit
