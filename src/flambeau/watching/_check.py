"""Silent mistakes: programs that run, and train worse than they should, or ever slower."""

from __future__ import annotations

import atexit
import warnings
import weakref
from threading import get_ident
from types import FrameType
from typing import Any

import numpy as np

from ..core.foreign import near
from ..core.modes import Interpreter, state
from ..core.tape import Handle, Leaf, Node
from ..core.value import Value
from ..core.whereabouts import Line, told, user_frame, user_line, variables
from ..nn.modules.batchnorm import _BatchNorm
from ..nn.modules.dropout import _Dropout
from ..nn.modules.module import Module
from ..optim.optimizer import (
    Optimizer,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from ._where import ModuleStack, module_path

_KEPT_STEPS = 5  # whose graphs are looked for
_OLD = 3  # so many earlier steps' graphs must be alive for an alarm
_LOOK_AT = 20_000  # nodes, to find out what holds an old graph

#: (operation, what made its operand) -> what is wrong
_TWICE = {
    ("cross_entropy_loss", "softmax"): "cross_entropy takes scores and applies log_softmax itself",
    ("nll_loss", "softmax"): "nll_loss takes log-probabilities: use log_softmax, or cross_entropy",
    ("cross_entropy_loss", "sigmoid"): "cross_entropy takes scores and applies log_softmax itself",
    ("binary_cross_entropy_with_logits", "sigmoid"): (
        "binary_cross_entropy_with_logits takes logits and applies sigmoid itself"
    ),
}


class CheckWarning(UserWarning):
    """A probable mistake that ``flambeau.check`` has found."""


class _Modules(ModuleStack):
    """Tells the check of every module that is entered."""

    def __init__(self, owner: check) -> None:
        super().__init__()
        self.owner = owner

    def entered(self, module: Module) -> None:
        self.owner.entered(module, self.chain)


class _Used:
    """A gradient as an optimizer has used it, to see whether the next one is added to it."""

    __slots__ = ("copy", "dirty", "grad", "parameter")

    def __init__(self, parameter: Value) -> None:
        self.parameter = parameter
        self.grad = parameter._grad
        self.copy = near(self.grad._array).copy()
        self.dirty = False

    def look(self) -> None:
        """A walk back begins: is the used gradient still there?"""
        if self.parameter._grad is not self.grad or not near(self.grad._array).any():
            self.dirty = False
            self.grad = None
        elif np.array_equal(near(self.grad._array), self.copy):
            self.dirty = True


class check(Interpreter):
    """``with flambeau.check(model, optimizer):`` warns of mistakes that raise no error.

    Without arguments models and optimizers are found when they are used; FLAMBEAU_CHECK=1 puts the
    whole program under it. Each finding is a ``CheckWarning``, given once, and is kept in
    ``findings`` as (rule, text). The rules:

    - *loss shapes*: operands of a loss, or of a difference, that broadcast: (n, 1) with (n,);
    - *gradients not zeroed*: a step with gradients to which the last step's were added;
    - *training mode*: dropout or batch norm in training mode where nothing is recorded;
    - *no optimizer*: parameters of a model that no optimizer has, while others have an optimizer;
    - *no gradient*: parameters of an optimizer that never got a gradient;
    - *softmax twice*: probabilities where a loss takes scores;
    - *scheduler order*: a scheduler's step before the optimizer's first;
    - *growing graph*: graphs of earlier steps that something still holds (``total += loss``).
    """

    def __init__(self, *watched: Module | Optimizer) -> None:
        for w in watched:
            if not isinstance(w, (Module, Optimizer)):
                raise TypeError(f"check() takes models and optimizers, not {type(w).__name__}")
        self.models: list[Module] = [w for w in watched if isinstance(w, Module)]
        self.optimizers: list[Optimizer] = [w for w in watched if isinstance(w, Optimizer)]
        self.findings: list[tuple[str, str]] = []
        self._seen: set[tuple] = set()
        self._modules = _Modules(self)
        self._handles: list[Handle] = []
        self._steps = 0
        self._graded: set[int] = set()  # ids of parameters that had a gradient in some step
        self._used: dict[int, _Used] = {}  # by id of the optimizer
        self._walking = False
        self._made: list[tuple[weakref.ref, Line | None]] = []  # nodes of this step
        self._earlier: list[list[tuple[weakref.ref, Line | None]]] = []

    def __enter__(self) -> check:
        self._modules.__enter__()
        self._handles = [
            register_optimizer_step_pre_hook(self._before_step),
            register_optimizer_step_post_hook(self._after_step),
        ]
        super().__enter__()
        if self.optimizers:
            self._look_for_forgotten_parameters()
        return self

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        for handle in self._handles:
            handle.remove()
        self._modules.__exit__()
        if error[:1] in ((), (None,)):
            self._finish()
        self._earlier, self._made, self._used = [], [], {}

    def _alarm(self, rule: str, text: str, key: Any = None, line: Line | None = None) -> None:
        if (rule, key) in self._seen:
            return
        self._seen.add((rule, key))
        self.findings.append((rule, text))
        line = line or user_line(3)
        file, number = (line[0].co_filename, line[1]) if line else ("flambeau", 0)
        warnings.warn_explicit(f"{rule}: {text}", CheckWarning, file, number)

    # ---- operations --------------------------------------------------------------------------

    def run(self, op: Any, plain: Any, args: tuple) -> Any:
        """See Interpreter."""
        result = self.onward(op, plain, args)
        name = op.name
        if name == "sub":
            self._look_at_difference(args, result)
        elif name in ("cross_entropy_loss", "nll_loss", "binary_cross_entropy_with_logits"):
            maker = getattr(getattr(args[0], "_edge", None), "op", None)
            reason = maker and _TWICE.get((name, maker.name))
            if reason:
                self._alarm("softmax twice", f"{reason}, but gets the result of {maker.name}")
        first = result[0] if type(result) is tuple and result else result
        edge = getattr(first, "_edge", None)
        if edge is not None and not self._walking:
            node = edge.edges[0] if type(result) is tuple and edge.edges else edge
            if node is not None and type(node) is not Leaf:
                self._made.append((weakref.ref(node), user_line()))
        return result

    def _look_at_difference(self, args: tuple, result: Any) -> None:
        if not all(isinstance(a, Value) for a in args[:2]) or result._edge is None:
            return
        one, other = sorted((args[0]._array.shape, args[1]._array.shape), key=len)
        if len(one) == 1 and one[0] > 1 and other == (one[0], 1):
            self._alarm(
                "loss shapes",
                f"a difference of shapes {other} and {one} has shape {(one[0], one[0])}: every "
                "number of one with every number of the other; squeeze(1) or unsqueeze(1) one",
                user_line(),
            )

    def doubted(self, rule: str, what: str) -> None:
        """See Interpreter."""
        if get_ident() == self.thread:
            self._alarm(rule, what, (what, user_line()))
        super().doubted(rule, what)

    def entered(self, module: Module, chain: tuple[Module, ...]) -> None:
        """``module`` begins its forward."""
        if len(chain) == 1 and not any(module is m for m in self.models):
            self.models.append(module)
        if module.training and not state.grad and isinstance(module, (_BatchNorm, _Dropout)):
            kind = "batch norm" if isinstance(module, _BatchNorm) else "dropout"
            self._alarm(
                "training mode",
                f"{kind} runs in training mode where no gradient is recorded, in "
                f"{module_path(chain)}; call model.eval() before, and model.train() after",
                kind,
            )

    # ---- backward and steps ------------------------------------------------------------------

    def reached(self, node: Node | None, grad: Any) -> None:
        """See Interpreter."""
        if get_ident() == self.thread:
            if node is not None and not self._walking and not state.targeted:
                for used in self._used.values():
                    if used.grad is not None:
                        used.look()
            self._walking = node is not None
        super().reached(node, grad)

    def _before_step(self, optimizer: Optimizer, args: tuple, kwargs: dict) -> None:
        if not any(optimizer is o for o in self.optimizers):
            self.optimizers.append(optimizer)
        used = self._used.pop(id(optimizer), None)
        if used is not None and used.dirty and used.parameter._grad is used.grad:
            self._alarm(
                "gradients not zeroed",
                f"{type(optimizer).__name__}.step() uses gradients to which those of the step "
                "before were added; call optimizer.zero_grad() before backward()",
                id(optimizer),
            )

    def _after_step(self, optimizer: Optimizer, args: tuple, kwargs: dict) -> None:
        self._steps += 1
        with_grad = [
            p for group in optimizer.param_groups for p in group["params"] if p._grad is not None
        ]
        self._graded.update(map(id, with_grad))
        some = [p for p in with_grad if near(p._grad._array).any()] if with_grad else []
        if some:
            self._used[id(optimizer)] = _Used(min(some, key=lambda p: p._array.size))
        self._earlier.append(self._made)
        self._made = []
        del self._earlier[:-_KEPT_STEPS]
        self._look_for_old_graphs()

    # ---- parameters --------------------------------------------------------------------------

    def _look_for_forgotten_parameters(self) -> None:
        known = {id(p) for o in self.optimizers for g in o.param_groups for p in g["params"]}
        for model in self.models:
            named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
            missing = [n for n, p in named if id(p) not in known]
            if missing and len(missing) < len(named):
                self._alarm(
                    "no optimizer",
                    f"{_names(missing)} of {type(model).__name__} "
                    "will not be trained: no optimizer has them, while others have one",
                    id(model),
                )

    def _finish(self) -> None:
        if not self._steps:
            return
        self._look_for_forgotten_parameters()
        names = {id(p): n for model in self.models for n, p in model.named_parameters()}
        for optimizer in self.optimizers:
            ids = [id(p) for g in optimizer.param_groups for p in g["params"] if p.requires_grad]
            never = [i for i in ids if i not in self._graded]
            if never and len(never) < len(ids):
                self._alarm(
                    "no gradient",
                    f"{_names([names.get(i, '(a parameter)') for i in never])} never got a "
                    f"gradient in {self._steps} steps: the loss does not depend on them",
                    id(optimizer),
                )

    # ---- graphs that grow --------------------------------------------------------------------

    def _look_for_old_graphs(self) -> None:
        alive = [[(n, line) for r, line in step if (n := r())] for step in self._earlier[:-1]]
        old = [step for step in alive if step]
        if len(old) < _OLD:
            return
        oldest = old[0][0]
        lines = {n.tick: line for step in old for n, line in step}
        lines |= {n.tick: line for r, line in self._earlier[-1] if (n := r())}
        frame = user_frame()
        holder, line = _holder(frame, {n.tick for step in old for n, _ in step}, lines)
        line = line or oldest[1]
        self._alarm(
            "growing graph",
            f"{holder or 'something'} still holds the graphs of earlier steps, and memory grows "
            f"with every step: {told(line)}; add loss.item() or loss.detach() instead",
            line,
            line,
        )


def _names(names: list[str]) -> str:
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more


def _holder(
    frame: FrameType | None, old: set[int], lines: dict[int, Line | None]
) -> tuple[str | None, Line | None]:
    """The variable from which nodes of the ticks ``old`` are reached, and the line that made it."""
    for _, place, tensors in variables(frame):
        held = [v for v in tensors if v._edge is not None and _reaches(v._edge, old)]
        if held:
            several = f" ({len(held)} tensors)" if len(held) > 1 else ""
            return f"'{place}'{several}", lines.get(held[-1]._edge.tick)
    return None, None


def _reaches(start: Node, old: set[int]) -> bool:
    """Whether a node of the ticks ``old`` is ``start``, or behind it."""
    first = min(old)
    seen = {start}
    stack = [start]
    while stack and len(seen) < _LOOK_AT:
        node = stack.pop()
        if node.tick in old:
            return True
        for edge in node.edges:
            if edge is not None and edge not in seen and edge.tick >= first:
                seen.add(edge)
                stack.append(edge)
    return False


def check_whole_program() -> None:
    """What FLAMBEAU_CHECK=1 asks for: from now to the end of the process."""
    whole = check()
    whole.__enter__()
    atexit.register(whole.__exit__)
