"""Random small programs for the tests of ``compile``: how they are made.

``Program`` is a function of tensors and numbers, the state that it reaches, and a number of calls
of it, all as lines of Python (``text``). ``written(seed)`` writes one, line by line: each line is
a template of the tables below, filled with names that suit, and it is tried out at once, so that
the next line knows what is there. What a program is run for is in ``program_runs.py``.
"""

from __future__ import annotations

import math
import random
import re
import warnings
from dataclasses import dataclass, field, replace

import numpy as np

import flambeau as torch
from flambeau.nn import functional as F

#: What every program may call.
HEAD = '''
import numpy as np

import flambeau as torch
from flambeau.nn import functional as F


def real(*shape, seed, dtype=torch.float32):
    """Numbers from (-2, 2), the same at every call."""
    return torch.tensor(np.random.default_rng(seed).uniform(-2, 2, shape)).to(dtype)


def whole(*shape, seed, high=5, dtype=torch.int64):
    """Whole numbers from [0, high)."""
    return torch.tensor(np.random.default_rng(seed).integers(0, high, shape)).to(dtype)


class Box:
    """Python's own state."""
'''


@dataclass
class Program:
    """Lines of Python: ``state`` (what the function f reaches), its ``body``, what it ``returns``,
    and ``calls``; each call is lines, the one with ``see(`` being the call itself."""

    seed: int
    parameters: list[str] = field(default_factory=list)
    state: list[str] = field(default_factory=list)
    body: list[str] = field(default_factory=list)
    returns: list[str] = field(default_factory=list)
    calls: list[list[str]] = field(default_factory=list)

    def text(self) -> str:
        """A function ``world(see, compiled)`` that sets up the state and makes the calls."""
        lines = ["def world(see, compiled):"]
        lines += indented(self.state or ["pass"], 1)
        lines += [f"    def f({', '.join(self.parameters)}):"]
        lines += indented([*self.body, f"return {{{', '.join(self.returns)}}}"], 2)
        lines += ["", "    f = compiled(f)"]
        for call in self.calls:
            lines += indented(call, 1)
        return HEAD + "\n\n" + "\n".join(lines) + "\n"

    def without_line(self, part: str, place: int) -> Program:
        """The program without one line, and without what reads the names it made."""
        lines = list(getattr(self, part))
        gone = made_by(lines.pop(place))
        kept = lines[:place]
        for line in lines[place:]:
            if gone & names_in(line):
                gone |= made_by(line)
            else:
                gone -= made_by(line)
                kept.append(line)
        returns = [r for r in self.returns if not gone & names_in(r)]
        return replace(self, **{part: kept, "returns": returns})


def indented(lines: list[str], depth: int) -> list[str]:
    return ["    " * depth + row for line in lines for row in line.splitlines()]


def names_in(line: str) -> set[str]:
    return set(re.findall(r"\b[avwbn]\d+\b", line))


def made_by(line: str) -> set[str]:
    """The names that a line assigns to."""
    found = set()
    for row in line.splitlines():
        left = re.match(r"\s*((?:[avwbn]\d+(?:, )?)+) = ", row)
        if left:
            found |= names_in(left.group(1))
    return found


# ---- templates -----------------------------------------------------------------------------
#
# {r} a new name    {t} {f} {i} {b} a tensor: any, floating, int64, bool     {g} one that requires
# grad    {w} a leaf that does    {v} one to write to    {like} one that broadcasts with the last
# {same} one of the last one's shape    {x} a floating local one    {n} a number
# {d} a dimension of the last tensor    {p} a piece of it    {view} another shape for it
# {order} its dimensions, permuted    {shape} a shape    {dtype}
# {k} a small count    {m} a module    the others: names of functions

UNARY = (
    "tanh sigmoid exp sin cos relu abs neg square sign floor ceil round trunc sqrt rsqrt log log1p "
    "expm1 reciprocal erf isnan isfinite logical_not positive frac atan sinh asinh exp2 clone "
    "special.xlog1py angle nan_to_num lgamma"
).split()
ACTIVATIONS = (
    "relu gelu silu elu softplus leaky_relu hardtanh hardswish mish logsigmoid relu6 selu "
    "softsign tanhshrink hardsigmoid celu"
).split()
BINARY = (
    "add sub mul div maximum minimum pow atan2 fmod remainder eq ne lt le gt ge logical_and "
    "logical_or logical_xor floor_divide hypot fmax fmin copysign logaddexp xlogy heaviside"
).split()
INFIX = "+ - * / + - * // % ** < <= > >= == !=".split()
BITWISE = "& | ^".split()
REDUCTIONS = "sum mean amax amin prod any all argmax argmin std var logsumexp nansum".split()
IN_PLACE = "add_ sub_ mul_ div_ copy_ fmod_ remainder_ floor_divide_".split()
IN_PLACE_1 = "zero_ relu_ abs_ neg_ tanh_ exp_ sigmoid_ square_ sqrt_ floor_ sin_".split()

ARITHMETIC = [
    (6, "{r} = torch.{unary}({f})"),
    (3, "{r} = F.{activation}({f})"),
    (2, "{r} = torch.{unary}({t})"),
    (8, "{r} = {t} {o} {like}"),
    (4, "{r} = {t} {o} {n}"),
    (2, "{r} = {n} {o} {t}"),
    (3, "{r} = torch.{binary}({t}, {like})"),
    (1, "{r} = {i} {bit} {like}"),
    (1, "{r} = {b} {bit} {like}"),
    (1, "{r} = ~{b}"),
    (2, "{r} = torch.where({b}, {like}, {like2})"),
    (1, "{r} = torch.where({f} > {n}, {same}, {n})"),
    (1, "{r} = {t}.clamp({n}, 2)"),
    (1, "{r} = {f}.lerp({same}, {n})"),
    (1, "{r} = torch.addcmul({f}, {like}, {like2}, value={n})"),
    (1, "{r} = torch.addcdiv({f}, {like}, {like2}.abs() + 1, value=0.5)"),
    (1, "{r} = {f}.masked_fill({f2} > 0, {n})"),
    (2, "{r} = {t}.to({dtype})"),
    (1, "{r} = {t}.type_as({t2})"),
    (1, "{r} = {t}.float() + {like}"),
]
REDUCING = [
    (5, "{r} = {f}.{reduction}({d})"),
    (3, "{r} = {f}.{reduction}()"),
    (2, "{r} = {f}.{reduction}({d}, keepdim=True)"),
    (1, "{r} = {t}.{reduction}({d})"),
    (1, "{r} = {f}.sum(({d}, {d2}))"),
    (1, "{r} = {f}.mean(dtype=torch.float64)"),
    (2, "{r}, {q} = {f}.{minmax}({d})"),
    (1, "{r}, {q} = {t}.sort({d}, descending={flag})"),
    (1, "{r} = {t}.argsort({d}, stable=True)"),
    (1, "{r}, {q} = {f}.topk(1, {d})"),
    (1, "{r}, {q} = {t}.kthvalue(1, {d})"),
    (1, "{r} = {t}.median()"),
    (2, "{r} = {f}.softmax({d})"),
    (1, "{r} = {f}.log_softmax({d})"),
    (1, "{r} = {t}.cumsum({d})"),
    (1, "{r} = {f}.cumprod({d})"),
    (1, "{r} = {f}.cummax({d})[0]"),
    (1, "{r} = {f}.norm()"),
    (1, "{r} = torch.linalg.vector_norm({f}, {n}, {d})"),
    (1, "{r} = F.normalize({f}, dim={d})"),
    (1, "{r} = torch.count_nonzero({t}, {d})"),
    (1, "{r}, {q} = torch.var_mean({f}, {d})"),
    (1, "{r} = F.layer_norm({f}, {f}.shape[-1:])"),
    (1, "{r} = F.mse_loss({f}, {same})"),
    (1, "{r} = F.smooth_l1_loss({f}, {same}, reduction='none')"),
    (1, "{r} = F.cross_entropy({f}, {f}.shape[1] * torch.zeros({f}.shape[0], dtype=torch.int64))"),
    (1, "{r} = F.cross_entropy({f}, {f}.detach().softmax(1))"),
    (1, "{r} = F.cosine_similarity({f}, {same}, dim={d})"),
]
PRODUCTS = [
    (4, "{r} = {f} @ {f2}"),
    (3, "{r} = {f} @ {f}.transpose(-1, -2)"),
    (3, "{r} = {f}.transpose(-1, -2) @ {f2}"),
    (2, "{r} = F.linear({f}, {f2})"),
    (1, "{r} = F.linear({f}, {f2}, {f3})"),
    (1, "{r} = torch.outer({f}.flatten()[:4], {f2}.flatten()[:3])"),
    (1, "{r} = torch.einsum('...i,...i->...', {f}, {same})"),
    (1, "{r} = torch.addmm({f}, {f2}, {f3})"),
    (1, "{r} = torch.tensordot({f}, {f2}, 1)"),
    (1, "{r} = torch.dot({f}.flatten(), {same}.flatten())"),
    (4, "{r} = {m}({f})"),
    (1, "{r} = F.conv1d({f}.reshape(1, 1, -1), {f2}.reshape(-1, 1, 1)[:2])"),
    (1, "{r} = F.max_pool1d({f}.reshape(1, 1, -1), 2)"),
    (1, "{r} = F.avg_pool1d({f}.reshape(1, 1, -1), 2, 1)"),
    (1, "{r} = F.scaled_dot_product_attention({f}, {same}, {same2})"),
    (1, "{r} = torch.cdist({f}, {f2})"),
    (2, "{r} = F.layer_norm({f} @ {f2}, ({f2}.shape[-1],)).tanh()"),
    (2, "{r} = F.linear(F.gelu(F.linear({f}, {f2})), {f2}.T) + {f}"),
    (1, "{r} = F.linear(F.rms_norm({f}, {f}.shape[-1:]), {f2}).softmax(-1) @ {f2}"),
    (1, "{r} = ({f} @ {f2}).relu() * {like}"),
    (2, "{r} = F.linear(({f} @ {f2}).tanh(), {f2})[..., {row}, :]"),
    (1, "{r} = net({f})[..., {row}, :]"),
]
VIEWS = [
    (8, "{r} = {t}{p}"),
    (2, "{r} = {t}.transpose({d}, {d2})"),
    (1, "{r} = {t}.T"),
    (3, "{r} = {t}.permute({order})"),
    (3, "{r} = {t}.reshape({view})"),
    (2, "{r} = {t}.view({view})"),
    (2, "{r} = {t}.flatten()"),
    (2, "{r} = {t}.unsqueeze({d})"),
    (1, "{r} = {t}.squeeze()"),
    (2, "{r} = {t}.expand({k}, *{t}.shape)"),
    (1, "{r} = {t}.expand_as({t2})"),
    (1, "{r} = {t}.narrow({d}, 0, 1)"),
    (1, "{r} = {t}.diagonal()"),
    (1, "{r} = {t}.unfold({d}, 2, 1)"),
    (1, "{r}, {q} = {t}.chunk(2, {d})"),
    (1, "{r} = {t}.unbind({d})[-1]"),
    (1, "{r} = {t}.split(1, {d})[0]"),
    (1, "{r} = {t}.movedim({d}, 0)"),
    (3, "{r} = {t}.detach()"),
    (1, "{r} = {t}.contiguous()"),
    (1, "{r} = {t}.as_strided((2, 2), (1, 1))"),
    (1, "{r} = {t}.as_strided(({k}, 2), (2, 1), 1)"),
    (1, "{r} = {t}.view_as({t})"),
    (1, "{r} = {f}.float().view(torch.int32)"),
    (1, "{r} = {t}.data"),
]
INDEXING = [
    (2, "{r} = {t}[{index}]"),
    (1, "{r} = {t}[..., {index}]"),
    (1, "{r} = {t}.index_select({d}, {index}.flatten())"),
    (1, "{r} = {f}.gather({d}, torch.zeros_like({f}, dtype=torch.int64))"),
    (1, "{r} = torch.take_along_dim({f}, {f}.argsort({d}), {d0})"),
    (1, "{r} = {t}[{t} > {n}]"),
    (1, "{r} = {t}.nonzero()"),
    (1, "{r} = {t}.flip({d})"),
    (1, "{r} = {t}.roll(1, {d})"),
    (1, "{r} = {t}.repeat({k}, *[1] * {t}.dim())"),
    (1, "{r} = {t}.repeat_interleave(2, {d})"),
    (1, "{r} = {t}.tril()"),
    (1, "{r} = {t}.triu(1)"),
    (1, "{r} = F.pad({f}, (1, 0), value={n})"),
    (1, "{r} = F.one_hot({index}, 5)"),
    (1, "{r} = F.embedding({index}, {f})"),
    (3, "{r} = torch.cat([{t}, {same}], {d})"),
    (2, "{r} = torch.stack([{t}, {same}], {d})"),
    (1, "{r} = {t}.index_add({d}, torch.zeros({t}.shape[{d0}], dtype=torch.int64), {same})"),
    (1, "{r} = torch.zeros_like({f}).scatter_add({d}, {f}.argsort({d0}), {same})"),
    (1, "{r} = {t}.index_fill({d}, torch.tensor([0]), {n})"),
    (1, "{r} = torch.bincount({index}.flatten(), minlength=5)"),
    (1, "{r} = torch.isin({t}, {t2})"),
    (1, "{r} = torch.searchsorted({f}.flatten().sort()[0], {same})"),
]
MAKING = [
    (1, "{r} = torch.zeros({shape})"),
    (1, "{r} = torch.full({shape}, {n})"),
    (1, "{r} = torch.arange({k})"),
    (1, "{r} = torch.tensor([1.5, {n}])"),
    (1, "{r} = torch.tensor({n})"),
    (1, "{r} = torch.ones_like({t})"),
    (1, "{r} = {t}.new_zeros({shape})"),
    (1, "{r} = torch.eye({k})"),
    (1, "{r} = torch.linspace({n}, 1, {k})"),
    (1, "{r} = real({shape}, seed={k})"),
    (2, "{r} = torch.randn({shape})"),
    (1, "{r} = torch.rand({shape}) - 0.5"),
    (1, "{r} = torch.randint(0, 5, ({shape},))"),
    (1, "{r} = torch.randn_like({f})"),
    (1, "{r} = torch.randperm({k})"),
    (2, "{r} = F.dropout({f}, 0.4)"),
    (1, "{r} = torch.bernoulli({f}.detach().sigmoid())"),
    (1, "{r} = torch.normal({f}.detach(), 1.0)"),
    (1, "{r} = torch.multinomial({f}.detach().exp(), 1)"),
    (1, "{r} = torch.empty_like({f}).uniform_(-1, 1)"),
    (1, "{r} = torch.distributions.Normal({f}, 1.0).rsample()"),
]
WRITES = [
    (6, "{v}.{in_place}({like})"),
    (3, "{v}.{in_place}({n})"),
    (4, "{v}.{alone}()"),
    (4, "{v}{p} = {n}"),
    (4, "{v}{p} = {t}{p2}"),
    (3, "{v}{p} += {n}"),
    (2, "{v}{p}.mul_({n})"),
    (2, "{x} += {like}"),
    (1, "{x} *= {n}"),
    (1, "{v}.copy_({like}.flip(0))"),
    (1, "{v}.copy_({v}.t())"),
    (1, "{v}[1:].copy_({v}[:-1])"),
    (2, "{v}[{index}] = {n}"),
    (1, "{v}[{v} > {n}] = {n2}"),
    (1, "{v}.masked_fill_({v} > 0, {n})"),
    (1, "{v}.index_fill_({d}, torch.tensor([0]), {n})"),
    (1, "{v}.scatter_({d}, torch.zeros_like({v}, dtype=torch.int64), {n})"),
    (1, "{v}.index_add_({d}, torch.zeros({v}.shape[{d0}], dtype=torch.int64), {same})"),
    (1, "{v}.fill_({t}.sum())"),
    (1, "{v}.clamp_(-1, {n})"),
    (1, "{v}.uniform_()"),
    (1, "{v}.lerp_({same}, 0.5)"),
    (1, "{v}.addcmul_({like}, {like2})"),
    (1, "{v}.t_()"),
    (1, "{v}.unsqueeze_(0)"),
    (1, "{v}.squeeze_()"),
    (1, "torch.add({f}, {like}, out={v})"),
    (1, "{v}.data.add_({n})"),
    (1, "{v}.detach().mul_({n})"),
    (1, "{v}.diagonal().fill_({n})"),
    (1, "{v}.unfold({d}, 2, 1)[..., 0] = {n}"),
    (2, "{r} = {v}{p}\n{r}.add_({n})"),
    (2, "{r} = {v}.view({view})\n{r}.mul_({n})\n{v}.add_({n2})"),
    (1, "{v}.view(-1)[::2].sub_({n})"),
    (1, "{r} = {v}.transpose({d}, {d2})[..., :1]\n{r}.copy_({t}.sum())"),
    (1, "{r}, {q} = {v}.chunk(2, {d})\n{r}.add_(1)\n{q}.add_({r}.sum())"),
    (1, "{v}.diagonal().add_({v}.sum())"),
    (1, "{v}.swapaxes({d}, {d2})[0] = {v}.sum()"),
    (2, "with torch.no_grad():\n    {w}.sub_({n})"),
    (1, "with torch.no_grad():\n    {w}{p} = {n}"),
    (1, "with torch.no_grad():\n    {w}.copy_({like})"),
    (1, "{w}.data.mul_(0.5)"),
]
GRADIENTS = [
    (5, "{r}, = torch.autograd.grad(({g}).sum(), [{w}], allow_unused=True)"),
    (2, "{r}, {q} = torch.autograd.grad(({g} ** 2).sum(), [{w}, {g2}], allow_unused=True)"),
    (2, "{r}, = torch.autograd.grad({g}, [{w}], torch.ones_like({g}), retain_graph=True)"),
    (2, "{r}, = torch.autograd.grad(({g} ** 2).sum(), [{w}], create_graph=True)"),
    (4, "({g}).sum().backward()"),
    (2, "({g} * {g}).mean().backward(retain_graph=True)"),
    (2, "{r} = {w}.grad"),
    (2, "{r} = {w}.grad * {n}"),
    (2, "{w}.grad = None"),
    (1, "{w}.grad.zero_()"),
    (1, "{w}.grad = torch.ones_like({w})"),
    (1, "with torch.no_grad():\n    {w} -= 0.1 * {w}.grad"),
    (1, "{r} = {f}.detach().clone().requires_grad_()"),
    (1, "{r} = real({shape}, seed={k}).requires_grad_()"),
    (1, "{r} = {f}.detach().requires_grad_()"),
    (1, "{g}.retain_grad()"),
    (1, "{g}.register_hook(lambda g: g * 2)"),
    (1, "with torch.no_grad():\n    {r} = {g} * {n}"),
    (1, "{r} = Double.apply({f})"),
    (2, "{f}.requires_grad_()"),
    (1, "{f}.requires_grad_(False)"),
    (1, "{w}.requires_grad_(False)\n{r} = {w} * {n}\n{w}.requires_grad_()"),
    (1, "net.zero_grad()"),
    (1, "{r} = torch.utils.checkpoint.checkpoint(lambda x: x.tanh() * {f2}, {f}, "
        "use_reentrant=False)"),
]  # fmt: skip
CONTROL = [
    (3, "if {f}.sum() > {n}:\n    {v}.add_(1)"),
    (2, "if ({t} > {n}).any():\n    {x} = {x} - 1\nelse:\n    {x} = {x} * {n2}"),
    (1, "while {x}.abs().sum() > 50:\n    {x} = {x} * 0.25"),
    (1, "for j in range(int({n})):\n    {x} = {x} * 0.5 + j"),
    (1, "{r} = {f} if bool({b}.all()) else {f2}"),
    (1, "{r} = torch.equal({t}, {t2})"),
    (1, "torch.manual_seed({k})"),
    (1, "with torch.random.fork_rng():\n    {r} = torch.rand({shape})"),
    (1, "{r} = torch.rand({shape}, generator=torch.Generator().manual_seed({k}))"),
    (1, "net.eval()"),
    (1, "net.train({n} > 0.5)"),
    (2, "for _ in range({k}):\n    {x} = {x}.tanh() + {n}"),
    (2, "if {n} > 0.5:\n    {x} = {x} * 2"),
    (1, "if {x}.shape[0] > 2:\n    {x} = {x} - 1"),
    (1, "if torch.is_grad_enabled():\n    {x} = {x} + 1"),
    (1, "if {g}.requires_grad:\n    {x} = {x} + 1"),
    (1, "if {w}.grad is not None:\n    {x} = {x} + 1"),
    (1, "{r} = {f} * {f2}.sum().item()"),
    (1, "{r} = {t}[: int({i}.sum()) % 3]"),
    (1, "box.count += 1"),
    (1, "{r} = {f} * box.scale"),
    (1, "box.scale = {n}"),
    (1, "{r} = {f} * len(parts)"),
    (1, "{r} = {f} + parts[0]"),
    (1, "parts[0] = {f}.detach()"),
    (1, "parts[0].add_(1)"),
    (1, "g = lambda x: x * {f}\n{r} = g({f2}) + g({n})"),
    (1, "{r} = {f}\n{r} += {n}"),
    (1, "{r} = {f} * {f2}.dim() + {f2}.numel()"),
    (1, "{r} = torch.tensor([x * 2 for x in range({k})])"),
    (1, "b0.add_(1)"),
    (1, "b0.mul_(0.9).add_({f}.detach().mean(), alpha=0.1)"),
    (1, "{r} = b0 * {f}"),
    (1, "torch._foreach_add_([{v}, {v2}], 1)"),
    (1, "torch.nn.utils.clip_grad_norm_([{w}], 1.0)"),
]
STEPS = [
    (1, "opt.zero_grad()\n({g} ** 2).mean().backward()\nopt.step()"),
    (1, "opt.zero_grad(set_to_none=False)\n({g}).sum().backward()\nopt.step()"),
    (1, "(net({f}) ** 2).mean().backward()\nopt.step()\nopt.zero_grad()"),
]
TABLES = [
    (9, ARITHMETIC), (4, REDUCING), (3, PRODUCTS), (6, VIEWS), (3, INDEXING), (2, MAKING),
    (6, WRITES), (5, GRADIENTS), (3, CONTROL),
]  # fmt: skip
NUMBERS = ["2", "0.5", "-1", "3", "1", "0", "True", "1.5"]
DTYPES = ["float32", "float64", "float16", "bfloat16", "int64", "int32", "uint8", "int8", "bool"]
MODULES = [
    "torch.nn.Linear({n}, {n})",
    "torch.nn.Sequential(torch.nn.Linear({n}, 4), torch.nn.ReLU(), torch.nn.Linear(4, {n}))",
    "torch.nn.Sequential(torch.nn.LayerNorm({n}), torch.nn.Dropout(0.3))",
    "torch.nn.Sequential(torch.nn.Linear({n}, {n}, bias=False), torch.nn.BatchNorm1d({n}))",
    "torch.nn.Sequential(torch.nn.Linear({n}, {n}), torch.nn.Dropout(0.5), torch.nn.GELU())",
    "torch.nn.Sequential(torch.nn.LayerNorm({n}), torch.nn.Linear({n}, 13), torch.nn.GELU(), "
    "torch.nn.Linear(13, {n}), torch.nn.LayerNorm({n}))",
    "torch.nn.Sequential(torch.nn.Linear({n}, 7), torch.nn.RMSNorm(7), torch.nn.Linear(7, {n}), "
    "torch.nn.Softmax(-1))",
    "torch.nn.TransformerEncoderLayer({n}, 1, 9, 0.2, batch_first=True)",
]
OPTIMIZERS = [
    "torch.optim.SGD({w}, 0.1)",
    "torch.optim.SGD({w}, 0.1, momentum=0.9)",
    "torch.optim.Adam({w}, 0.01)",
    "torch.optim.AdamW({w}, 0.01)",
    "torch.optim.RMSprop({w}, 0.01)",
]
STATE = """
class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * 2

    @staticmethod
    def backward(ctx, g):
        return g * 3 + ctx.saved_tensors[0]
"""


class NothingSuits(Exception):
    """No name in scope fits a template."""


class Writer:
    """Writes one program."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.program = Program(seed)
        self.count = 0
        rng = self.rng
        sizes = rng.choice([[2, 3, 4], [2, 3, 5], [1, 3, 4], [3, 3, 3], [2, 0, 3], [1, 1, 2],
                            [3, 7, 17], [4, 8, 16], [2, 33, 5], [5, 13, 19],
                            [1, 9, 31]])  # fmt: skip
        self.sizes = sizes
        self.scope: dict = {}
        exec(HEAD, self.scope)
        self.last: torch.Tensor | None = None
        self.dim = 0

    # ---- filling templates -----------------------------------------------------------------

    def shape(self) -> tuple[int, ...]:
        rng = self.rng
        rank = rng.choice([0, 1, 1, 2, 2, 2, 2, 3, 3, 4])
        shape = [rng.choice(self.sizes) for _ in range(rank)]
        if math.prod(shape) > 600:
            shape = shape[:2]
        return tuple(1 if rng.random() < 0.1 else n for n in shape)

    def named(self, fits) -> str:
        """A name of a tensor that ``fits``; later ones more often."""
        names = [k for k, v in self.scope.items() if isinstance(v, torch.Tensor) and fits(v)
                 and re.fullmatch(r"[avwb]\d+", k)]  # fmt: skip
        if not names:
            raise NothingSuits
        place = max(self.rng.randrange(len(names)), self.rng.randrange(len(names)))
        return self.found(names[place])

    def found(self, name: str) -> str:
        self.last = self.scope[name]
        return name

    def filled(self, template: str) -> str:
        done: dict[str, str] = {}

        def put(match: re.Match) -> str:
            key = match.group(1)
            if key not in done:
                done[key] = self.fill(key.rstrip("0123456789"), key)
            return done[key]

        return re.sub(r"\{(\w+)\}", put, template)

    def fill(self, kind: str, key: str) -> str:
        rng, last = self.rng, self.last
        if kind in ("r", "q"):
            if kind == "r" and rng.random() < 0.06:
                names = [k for k in self.scope if re.fullmatch(r"v\d+", k)]
                if names:
                    return rng.choice(names)
            self.count += 1
            return f"v{self.count}"
        tests = {
            "t": lambda t: True,
            "f": lambda t: t.is_floating_point(),
            "i": lambda t: t.dtype == torch.int64,
            "b": lambda t: t.dtype == torch.bool,
            "g": lambda t: t.requires_grad,
            "w": lambda t: t.requires_grad and t.is_leaf,
            "v": lambda t: not (t.requires_grad and t.is_leaf),
            "index": lambda t: t.dtype == torch.int64 and t.numel() < 30
            and bool(((t >= 0) & (t < 5)).all()),
            "like": lambda t: broadcasts(t, last),
            "x": lambda t: t.is_floating_point() and not any(
                t is v for k, v in self.scope.items() if re.fullmatch(r"[wb]\d+", k)),
            "same": lambda t: t.shape == last.shape,
        }  # fmt: skip
        if kind in tests:
            kept = self.last if kind in ("like", "same") else None
            name = self.named(tests[kind])
            if kept is not None:
                self.last = kept
            return name
        if kind == "n":
            numbers = [k for k, v in self.scope.items() if re.fullmatch(r"n\d+", k)]
            if numbers and rng.random() < 0.5:
                return rng.choice(numbers)
            return rng.choice(NUMBERS)
        if kind == "d":
            if key == "d0":
                return str(self.dim)
            rank = max(1, last.dim())
            self.dim = rng.randrange(-rank, rank)
            return str(self.dim)
        if kind == "p":
            return self.piece(last)
        if kind == "view":
            return self.view(last)
        if kind == "order":
            return ", ".join(map(str, rng.sample(range(last.dim()), last.dim()))) or "()"
        if kind == "shape":
            return ", ".join(map(str, self.shape() or (1,)))
        choices = {
            "row": ["-1", "0", "::2", "1:2", "-1:"], "k": ["1", "2", "3", "4"],
            "dtype": [f"torch.{d}" for d in DTYPES],
            "unary": UNARY, "activation": ACTIVATIONS, "binary": BINARY, "o": INFIX, "bit": BITWISE,
            "reduction": REDUCTIONS, "in_place": IN_PLACE, "alone": IN_PLACE_1,
            "minmax": ["max", "min"], "flag": ["True", "False"], "m": ["net"],
        }  # fmt: skip
        return rng.choice(choices[kind])

    def piece(self, t: torch.Tensor) -> str:
        rng = self.rng
        parts = []
        for n in t.shape:
            parts.append(rng.choice([
                ":", ":", "1:", ":-1", "::2", "0", "-1", "None, :", f"{n // 2}:",
                f":{max(1, n - 1)}",
            ]))  # fmt: skip
            if rng.random() < 0.3:
                break
        return f"[{', '.join(parts) or '...'}]"

    def view(self, t: torch.Tensor) -> str:
        rng, n, shape = self.rng, t.numel(), list(t.shape)
        way = rng.randrange(4)
        if way == 0 or not n:
            return "-1" if n else ", ".join(map(str, reversed(shape))) or "()"
        if way == 1:
            return ", ".join(map(str, [1, *shape]))
        if way == 2 and len(shape) > 1:
            return ", ".join(map(str, [shape[0] * shape[1], *shape[2:]]))
        k = rng.choice([k for k in (1, 2, 3, 4, 7) if n % k == 0])
        return f"{k}, -1"

    # ---- the parts of a program ------------------------------------------------------------

    def made_text(self, shape: tuple, dtype: str, seed: int, extra: str = "") -> str:
        dims = "".join(f"{n}, " for n in shape)
        if dtype.startswith(("float", "bfloat")):
            given = "" if dtype == "float32" else f", dtype=torch.{dtype}"
            return f"real({dims}seed={seed}{given}){extra}"
        given = "" if dtype == "int64" else f", dtype=torch.{dtype}"
        high = ", high=2" if dtype == "bool" else ""
        return f"whole({dims}seed={seed}{high}{given})"

    def argument(self, k: int, seed: int, shape: tuple, dtype: str, way: int) -> str:
        """How argument ``k`` is made. ``way``: as it is, or from another tensor's memory."""
        if way == 1 and k > 0:
            return f"a{k} = a{k - 1}"
        if way == 2 and k > 0 and self.shapes[k - 1]:
            return f"a{k} = a{k - 1}[1:]"
        if way == 3 and k > 0:
            return f"a{k} = a{k - 1}.view(-1)"
        if way == 4 and shape:
            wide = (2 * shape[0], *shape[1:])
            return f"a{k} = {self.made_text(wide, dtype, seed)}[::2]"
        if way == 5 and len(shape) > 1:
            turned = (*shape[:-2], shape[-1], shape[-2])
            return f"a{k} = {self.made_text(turned, dtype, seed)}.transpose(-1, -2)"
        if way == 6 and "b0" in self.scope:
            return f"a{k} = b0"
        if way == 7 and "w0" in self.scope:
            return f"a{k} = w0.detach()"
        if way == 8 and "w0" in self.scope:
            return f"a{k} = w0"
        if way == 9 and dtype.startswith("float"):
            return f"a{k} = {self.made_text(shape, dtype, seed, '.requires_grad_()')}"
        if way == 10 and dtype.startswith("float"):
            return f"a{k} = {self.made_text(shape, dtype, seed, '.requires_grad_() * 2')}"
        return f"a{k} = {self.made_text(shape, dtype, seed)}"

    def started(self) -> None:
        """State and the arguments of the first call."""
        rng, p = self.rng, self.program
        width = rng.choice([n for n in self.sizes if n] or [2])
        if rng.random() < 0.8:
            p.state.append(f"w0 = {self.made_text(self.shape(), 'float32', 100)}.requires_grad_()")
        if rng.random() < 0.5:
            p.state.append(f"w1 = {self.made_text(self.shape(), 'float32', 101)}.requires_grad_()")
        if rng.random() < 0.5:
            p.state.append(f"b0 = {self.made_text(self.shape(), 'float32', 102)}")
        self.width = width
        self.has = set()
        if rng.random() < 0.35:
            p.state.append("torch.manual_seed(7)")
            p.state.append(f"net = {rng.choice(MODULES).format(n=width)}")
            self.has.add("net")
            if rng.random() < 0.5:
                which = "net.parameters()"
                p.state.append(f"opt = {rng.choice(OPTIMIZERS).format(w=which)}")
                self.has.add("opt")
        elif p.state and p.state[0].startswith("w0") and rng.random() < 0.3:
            p.state.append(f"opt = {rng.choice(OPTIMIZERS).format(w='[w0]')}")
            self.has.add("opt")
        if rng.random() < 0.3:
            p.state.append("box = Box()\nbox.count, box.scale = 0, 2.0")
            p.state.append("parts = [real(2, seed=5)]")
            self.has.add("box")
        if rng.random() < 0.2:
            p.state.append(STATE.strip())
            self.has.add("Double")
        for line in p.state:
            exec(line, self.scope)
        self.shapes, self.dtypes, self.ways = [], [], []
        base = self.shape()
        for _ in range(rng.choice([1, 1, 2, 2, 3])):
            shape = base if rng.random() < 0.5 else self.shape()
            self.shapes.append((*shape[:-1], width) if "net" in self.has and shape else shape)
            self.dtypes.append("float32" if rng.random() < 0.65 else rng.choice(DTYPES))
            self.ways.append(rng.randrange(1, 11) if rng.random() < 0.3 else 0)
        self.numbers = [rng.choice(NUMBERS) for _ in range(rng.choice([0, 0, 1, 1, 2]))]
        p.parameters += [f"a{k}" for k in range(len(self.shapes))]
        p.parameters += [f"n{k}" for k in range(len(self.numbers))]

    def call(self, turn: int, change: str) -> list[str]:
        """The lines of one call; ``change`` says in what it differs from the first."""
        rng = self.rng
        shapes, dtypes, ways = list(self.shapes), list(self.dtypes), list(self.ways)
        numbers = list(self.numbers)
        k = rng.randrange(len(shapes))
        before, after = [], []
        if change == "shape":
            shapes[k] = self.shape()
        elif change == "dtype":
            dtypes[k] = rng.choice(DTYPES)
        elif change == "way":
            ways[k] = rng.randrange(11)
        elif change == "number" and numbers:
            numbers[rng.randrange(len(numbers))] = rng.choice(NUMBERS)
        elif change == "state":
            some = [
                "w0.data = w0.detach().clone() + 1",
                "w0.grad = None",
                "b0 = None",
                "w0.requires_grad_(False)",
                "box.scale = 3.0",
                "net.eval()",
                "parts.append(1)",
                "opt.param_groups[0]['lr'] = 0.05",
                "w0.detach().add_(1)",
                "w0.grad = torch.ones_like(w0)",
                "net.train()",
            ]
            fit = [s for s in some if s.split(".")[0].split("[")[0].split(" ")[0] in self.scope]
            before = [rng.choice(fit)] if fit else []
        lines = [self.argument(j, 10 * turn + j, *x)
                 for j, x in enumerate(zip(shapes, dtypes, ways))]  # fmt: skip
        names = [f"a{j}" for j in range(len(shapes))] + numbers
        state = [k for k in ("w0", "w1", "b0") if k in self.scope]
        state += [f"*{m}" for m in ("list(net.parameters())", "list(net.buffers())")
                  if "net" in self.has]  # fmt: skip
        comma = "," if len(names) == 1 else ""
        call = f"see(f, ({', '.join(names)}{comma}), [{', '.join(state)}])"
        if change == "no_grad":
            call = f"with torch.no_grad():\n    o = {call}"
        else:
            call = f"o = {call}"
        if change in ("back", "same") and rng.random() < 0.5:
            after = ["back(o)"]
        elif rng.random() < 0.15:
            after = ["for x in o[:2]:\n    x.detach().add_(1)"]
        return [*before, *lines, call, *after]

    def tried(self, line: str) -> bool:
        """Whether ``line`` runs, as the next one of the body, and makes what may be kept."""
        before = dict(self.scope)
        try:
            exec(line, self.scope)
        except Exception:
            self.scope.clear()
            self.scope.update(before)
            return False
        for k in names_in(line):
            v = self.scope.get(k)
            if isinstance(v, torch.Tensor):
                if v.numel() > 4000 or v.dim() > 6 or self.useless(v):
                    self.scope.clear()
                    self.scope.update(before)
                    return False
        return True

    def useless(self, v: torch.Tensor) -> bool:
        """Whether nothing is left but nan and inf, or far too much."""
        if not v.is_floating_point() or not v.numel():
            return False
        x = v.detach().double().numpy()
        fine = np.isfinite(x) & (np.abs(x) < 1e4)
        return not fine.all() and self.rng.random() < 0.9

    def line(self) -> str | None:
        """The next line of the body."""
        rng = self.rng
        tables = list(TABLES)
        if "opt" in self.has:
            tables.append((3, STEPS))
        for _ in range(40):
            table = rng.choices([t for _, t in tables], [w for w, _ in tables])[0]
            template = rng.choices([t for _, t in table], [w for w, _ in table])[0]
            try:
                line = self.filled(template)
            except (NothingSuits, IndexError, ValueError):
                continue
            if self.tried(line):
                return line
        return None

    def whole(self) -> Program:
        """The program."""
        rng, p = self.rng, self.program
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.started()
            first = self.call(0, "same")
            for line in first:
                if "see(" not in line and "back(" not in line and not line.startswith("for x"):
                    try:
                        exec(line, self.scope)
                    except Exception:
                        return written(p.seed + 1_000_003)
            for k, n in enumerate(self.numbers):
                self.scope[f"n{k}"] = eval(n)
            for _ in range(rng.choice([2, 3, 4, 5, 6, 8, 12])):
                line = self.line()
                if line is not None:
                    p.body.append(line)
            self.returned()
        kinds = ["shape", "dtype", "way", "number", "number", "state", "no_grad", "back"]
        changes = ["same"] * 3 + rng.sample(kinds, 3) + ["same"]
        p.calls = [first] + [self.call(k + 1, c) for k, c in enumerate(changes[1:])]
        return p

    def returned(self) -> None:
        rng, p = self.rng, self.program
        names = [k for k in self.scope if re.fullmatch(r"v\d+", k)]
        others = [k for k in self.scope if re.fullmatch(r"[awb]\d+", k)]
        chosen = names[-2:] + [n for n in names[:-2] if rng.random() < 0.4]
        chosen += [n for n in others if rng.random() < 0.15]
        if chosen and rng.random() < 0.1:
            chosen.append(rng.choice(chosen))
        p.returns = [f"'{n}{k}': {n}" for k, n in enumerate(chosen)]
        floats = [n for n in chosen if isinstance(self.scope[n], torch.Tensor)
                  and self.scope[n].is_floating_point()]  # fmt: skip
        if floats and rng.random() < 0.15:
            p.returns.append(f"'number': {rng.choice(floats)}.sum().item()")
        if floats and rng.random() < 0.1:
            p.returns.append(f"'piece': {rng.choice(floats)}.view(-1)[:2]")
        if floats and rng.random() < 0.1:
            name = rng.choice(floats)
            p.returns.append(f"'turned': {name}.mT, 'other': {name}.unsqueeze(0)[..., 1:]")


def broadcasts(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether the shapes of the two fit together."""
    return all(m == n or 1 in (m, n) for m, n in zip(reversed(a.shape), reversed(b.shape)))


def written(seed: int) -> Program:
    """The program number ``seed``."""
    return Writer(seed).whole()


__all__ = ["HEAD", "F", "Program", "written"]
