"""Operators that are found by name: ``torch.ops.namespace.name`` and what calling one does.

``torch.library`` enters them here. Those of the namespace ``aten`` are flambeau's own functions.
Source: https://docs.pytorch.org/docs/stable/library.html
"""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any, NoReturn

from ._missing import missing as _missing
from ._refusals import refuse, refused
from .autograd import Function
from .core.modes import is_grad_enabled, no_grad
from .core.value import Value

#: Namespaces that programs have asked for or registered operators in, by name.
_namespaces: dict[str, OpNamespace] = {}


@dataclass(frozen=True)
class Argument:
    """One argument of a schema: ``SymInt n=2``."""

    kind: str
    name: str
    default: Any = ...
    keyword_only: bool = False

    #: What may be given for a type that is neither optional nor a list; anything for the others.
    CLASSES = {
        "Tensor": (Value,),
        "int": (int,),
        "SymInt": (int,),
        "float": (int, float),
        "bool": (bool, int),
        "str": (str,),
    }

    def accepts(self, value: Any) -> bool:
        """Whether ``value`` is of this argument's type. Lists and rare types are not checked."""
        kind = self.kind.partition("(")[0]
        classes = self.CLASSES.get(kind)
        number = kind not in ("Tensor", "str") and hasattr(value, "__index__")
        return classes is None or number or isinstance(value, classes)


def arguments_of(schema: str) -> tuple[Argument, ...]:
    """The arguments of a schema: ``(Tensor x, int n=1, *, str s="a") -> Tensor``.

    ValueError where it cannot be read.
    """
    inside = re.search(r"\((.*)\)\s*->", schema, re.DOTALL)
    if inside is None:
        raise ValueError(f"schema {schema!r} is not of the form '(Tensor x, ...) -> Tensor'")
    found, keyword_only = [], False
    for text in _split(inside[1]):
        if text == "*":
            keyword_only = True
            continue
        declared, has_default, default = text.partition("=")
        kind, _, name = declared.strip().rpartition(" ")
        if not kind:
            raise ValueError(f"schema {schema!r}: argument {text!r} is not of the form 'type name'")
        value = _literal(default.strip()) if has_default else ...
        found.append(Argument(kind, name, value, keyword_only))
    return tuple(found)


def _split(text: str) -> Iterator[str]:
    """The parts between commas that are in no bracket or string."""
    for part in re.findall(r"""(?:[^,\[("']|\[[^\]]*\]|\([^)]*\)|"[^"]*"|'[^']*')+""", text):
        if part.strip():
            yield part.strip()


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text  # a constant's name: float32, contiguous_format


@dataclass(eq=False)
class OpOverload:
    """One operator: its schema, a function for each device, and its gradient."""

    namespace: str
    packet_name: str
    overload: str
    schema: str
    #: By device type; "all" is for those that are not named, "meta" for shapes alone.
    kernels: dict[str, Callable] = field(default_factory=dict)
    #: Whether gradients go through the kernel's own operations, as they do where a function is
    #: put together of others.
    composite: bool = True
    #: Whether results may not be arguments, or share memory with them.
    no_alias: bool = False
    backward: Callable | None = None
    setup_context: Callable | None = None
    vmap: Callable | None = None

    def __post_init__(self) -> None:
        self.arguments = arguments_of(self.schema)
        self.__name__ = f"{self.packet_name}.{self.overload}"

    def name(self) -> str:
        """``namespace::name``, and the overload's name if it has one."""
        more = "" if self.overload == "default" else f".{self.overload}"
        return f"{self.namespace}::{self.packet_name}{more}"

    def __repr__(self) -> str:
        return f"<OpOverload(op='{self.namespace}.{self.packet_name}', overload='{self.overload}')>"

    def __str__(self) -> str:
        return f"{self.namespace}.{self.packet_name}.{self.overload}"

    @property
    def _schema(self) -> str:
        return self.name() + self.schema

    @property
    def overloadpacket(self) -> OpOverloadPacket:
        """All overloads of this operator's name."""
        return getattr(namespace(self.namespace), self.packet_name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the kernel of the arguments' device.

        RuntimeError for arguments that do not fit the schema; NotImplementedError where there is
        no kernel for their device.
        """
        positional, keywords = self._bound(args, kwargs)
        kernel = self._kernel([*positional, *keywords.values()])
        if self.vmap is None and self.composite and self.backward is None:
            return kernel(*positional, **keywords)
        return self._differentiable(kernel, positional, keywords)

    def _bound(self, args: tuple, kwargs: dict[str, Any]) -> tuple[list, dict[str, Any]]:
        """Positional and keyword-only arguments, with their defaults, checked."""
        declared = [a for a in self.arguments if not a.keyword_only]
        if len(args) > len(declared):
            raise RuntimeError(
                f"{self.name()}() expected at most {len(declared)} argument(s) but received "
                f"{len(args)} argument(s). Declaration: {self._schema}"
            )
        rest, positional, keywords = dict(kwargs), [], {}
        for i, argument in enumerate(self.arguments):
            if i < len(args) and not argument.keyword_only:
                value = args[i]
            else:
                value = rest.pop(argument.name, argument.default)
            if value is ...:
                raise RuntimeError(
                    f"{self.name()}() is missing value for argument '{argument.name}'. "
                    f"Declaration: {self._schema}"
                )
            if value is not argument.default and not argument.accepts(value):
                kind = argument.kind.partition("(")[0].replace("SymInt", "int")
                raise RuntimeError(
                    f"{self.name()}() Expected a value of type '{kind}' for argument "
                    f"'{argument.name}' but instead found type '{type(value).__name__}'.\n"
                    f"Position: {i}\nValue: {value}\nDeclaration: {self._schema}"
                )
            if argument.keyword_only:
                keywords[argument.name] = value
            else:
                positional.append(value)
        for name in rest:
            raise RuntimeError(
                f"Unknown keyword argument '{name}' for operator '{self.name()}'. "
                f"Schema: {self._schema}"
            )
        return positional, keywords

    def _kernel(self, values: Sequence[Any]) -> Callable:
        places = {t.device.type for t in _tensors(values)}
        place = "meta" if "meta" in places else next(iter(places - {"cpu"}), "cpu")
        kernel = self.kernels.get(place) or self.kernels.get("all")
        if place == "meta" and "meta" not in self.kernels and not self.composite:
            raise RuntimeError(
                f"There was no fake impl registered for {self.name()}: it says which shape the "
                "result has. Please use `register_fake` to add one."
            )
        if kernel is None:
            others = ", ".join(sorted(self.kernels)) or "none"
            raise NotImplementedError(
                f"Could not run '{self.name()}' with arguments from the '{place.upper()}' backend: "
                f"it has kernels for: {others}\n  register one with torch.library.register_kernel"
            )
        return kernel

    def _differentiable(self, kernel: Callable, args: list, keywords: dict[str, Any]) -> Any:
        """Call ``kernel`` as one node of the graph, whose gradient is ``backward``."""
        # A Function sees tensors among its arguments, not those inside of lists: they are handed
        # over one by one, and put together again by their counts.
        counts = [len(a) if isinstance(a, list | tuple) else None for a in args]
        flat = [v for a, n in zip(args, counts) for v in ((a,) if n is None else a)]
        makes_graph = is_grad_enabled() and any(t.requires_grad for t in _tensors(flat))
        if self.vmap is None and not makes_graph:
            return self._run(kernel, args, keywords)
        return _recorded_call(self, counts, kernel, keywords).apply(*flat)

    def _run(self, kernel: Callable, args: list, keywords: dict[str, Any]) -> Any:
        with nullcontext() if self.composite else no_grad():
            result = kernel(*args, **keywords)
        if self.no_alias:
            self._check_alias(result, [*args, *keywords.values()])
        return result

    def _check_alias(self, result: Any, given: Sequence[Any]) -> None:
        taken = {t.untyped_storage().data_ptr() for t in _tensors(given) if t.numel()}
        for t in _tensors(result if isinstance(result, list | tuple) else [result]):
            place = t.untyped_storage().data_ptr() if t.numel() else None
            if place in taken:
                raise RuntimeError(
                    f"{self.name()}: The output of this custom operator (1) must not also be an "
                    "input to this custom operator and (2) may not alias any inputs to this "
                    "custom operator or other returns.\n  return x.clone() instead of x"
                )
            if place is not None:
                taken.add(place)


def _tensors(values: Any) -> Iterator[Value]:
    for value in values:
        if isinstance(value, Value):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def _recorded_call(
    op: OpOverload, counts: list[int | None], kernel: Callable, keywords: dict[str, Any]
) -> type[Function]:
    """One call of an operator with a gradient, or a rule for batches, of its own.

    ``counts`` are the lengths of the arguments that are lists, which come one by one.
    """

    def nested(flat: Sequence[Any]) -> list:
        it = iter(flat)
        return [next(it) if n is None else [next(it) for _ in range(n)] for n in counts]

    class Call(Function):
        @staticmethod
        def forward(ctx: Any, *flat: Any) -> Any:
            args = nested(flat)
            result = op._run(kernel, args, keywords)
            if any(n is not None for n in counts):
                ctx.needs_input_grad = tuple(nested(ctx.needs_input_grad))
            if op.setup_context is not None:
                more = {"keyword_only_inputs": keywords} if keywords else {}
                op.setup_context(ctx=ctx, inputs=tuple(args), output=result, **more)
            return result

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            if op.backward is None:
                raise RuntimeError(
                    f"Trying to backward through {op} but no autograd formula was registered. "
                    "Please use register_autograd to add one."
                )
            results = op.backward(ctx, *grads)
            results = results if isinstance(results, list | tuple) else (results,)
            flat: list[Any] = []
            for n, r in zip(counts, results, strict=True):
                flat.extend([r] if n is None else [None] * n if r is None else r)
            return tuple(flat)

    if op.vmap is not None:
        Call.vmap = staticmethod(
            lambda info, in_dims, *flat: op.vmap(
                info, tuple(nested(in_dims)), *nested(flat), **keywords
            )
        )
    Call.__name__ = f"GeneratedBackwardFor_{op.namespace}_{op.packet_name}_{op.overload}"
    return Call


class OpOverloadPacket:
    """All operators of one name; called, it is the one whose arguments fit."""

    def __init__(self, space: str, name: str) -> None:
        self._name, self.__name__, self._overloads = f"{space}.{name}", name, {}
        self._qualified_op_name = f"{space}::{name}"

    def overloads(self) -> list[str]:
        """The overloads' names."""
        return list(self._overloads)

    def __getattr__(self, name: str) -> Any:
        if name in self.__dict__.get("_overloads", ()):
            return self._overloads[name]
        raise AttributeError(
            f"The underlying op of '{self._name}' has no overload name '{name}'"
            if not name.startswith("__")
            else f"'OpOverloadPacket' object has no attribute '{name}'"
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        *others, last = self._overloads.values()
        for overload in others:
            try:
                overload._bound(args, kwargs)
            except RuntimeError:
                continue
            return overload(*args, **kwargs)
        return last(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<OpOverloadPacket(op='{self._name}')>"

    def __str__(self) -> str:
        return self._name


class _OwnOverload:
    """An overload of one of PyTorch's own operators: flambeau's function of that name."""

    def __init__(self, function: Callable, name: str) -> None:
        self._function, self._name, self.__name__ = function, name, name.partition(".")[2]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    def __repr__(self) -> str:
        op, _, overload = self._name.rpartition(".")
        return f"<OpOverload(op='{op}', overload='{overload}')>"

    def __str__(self) -> str:
        return self._name


class _OwnPacket(OpOverloadPacket):
    """An operator of PyTorch's own: its overloads are one function."""

    def __init__(self, name: str, function: Callable) -> None:
        super().__init__("aten", name)
        self._function = function

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"'OpOverloadPacket' object has no attribute '{name}'")
        return self._overloads.setdefault(
            name, _OwnOverload(self._function, f"{self._name}.{name}")
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)


class OpNamespace(ModuleType):
    """``torch.ops.name``: the operators registered under it are its attributes."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"'_OpNamespace' '{self.__name__.rpartition('.')[2]}' object has no attribute '{name}'"
        )


def _indexed(x: Value, indices: Sequence[Value | None]) -> Value:
    return x[tuple(slice(None) if i is None else i for i in indices)]


def _sliced(
    x: Value, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Value:
    before = [slice(None)] * (dim % x.dim())
    return x[(*before, slice(start, end, step))]


def _copied(x: Value, *, dtype: Any = None, memory_format: Any = None, **place: Any) -> Value:
    return x.to(dtype=dtype or x.dtype, copy=True)


def _refused(name: str) -> Callable:
    def refusing(*args: Any, **kwargs: Any) -> NoReturn:
        refuse(f"torch.ops.aten.{name}", "it is a step of PyTorch's own kernels")

    return refusing


#: Operators of PyTorch's that have no function or method of their name.
_UNNAMED: dict[str, Callable] = {
    "_local_scalar_dense": lambda x: x.item(),
    "_pin_memory": lambda x, device=None: x.pin_memory(),
    "_reshape_alias": lambda x, size, stride: x.as_strided(size, stride, x.storage_offset()),
    "_to_copy": _copied,
    "_unsafe_view": lambda x, size: x.view(size),
    "alias": lambda x: x.view(x.shape),
    "index": _indexed,
    "slice": _sliced,
    **{n: _refused(n) for n in ("_sparse_mm_reduce_impl", "_sparse_addmm")},
}


class _OwnNamespace(OpNamespace):
    """``torch.ops.aten``."""

    def __init__(self, home: ModuleType) -> None:
        super().__init__("torch.ops.aten")
        self.__dict__["home"] = home

    def __getattr__(self, name: str) -> Any:
        home = self.__dict__["home"]
        places = [home, home._C._nn, home.nn.functional, home.Tensor]
        for prefix in ("special", "linalg", "fft"):
            if name.startswith(f"{prefix}_"):
                places.append(getattr(home, prefix))
        if name in _UNNAMED:
            places.insert(0, SimpleNamespace(__name__="aten", **_UNNAMED))
        for place in places:
            short = name.partition("_")[2] if name.startswith(f"{_leaf(place)}_") else name
            function = None if name.startswith("__") else getattr(place, short, None)
            if callable(function) and not isinstance(function, type):
                self.__dict__[name] = packet = _OwnPacket(name, function)
                return packet
        return super().__getattr__(name)


def _leaf(place: Any) -> str:
    return place.__name__.rpartition(".")[2]


def namespace(name: str, home: ModuleType | None = None) -> Any:
    """``torch.ops.name``, a namespace; ``home`` is flambeau itself, for PyTorch's own operators.

    AttributeError for names that are a module of flambeau's own package of operations.
    """
    if name == "load_library":
        return load_library
    found = _namespaces.get(name)
    if found is None:
        inside = f"{__package__}.ops.{name}"
        if name.startswith("__") or importlib.util.find_spec(inside) is not None:
            raise AttributeError(f"torch.ops has no namespace {name!r}")
        owned = name == "aten" and home is not None
        found = _OwnNamespace(home) if owned else OpNamespace(f"torch.ops.{name}")
        _namespaces[name] = found
    return found


def split(qualname: str) -> tuple[str, str, str]:
    """``ns::name.overload`` -> its three parts. ValueError for anything else."""
    space, colons, rest = qualname.partition("::")
    if not colons or not space or not rest:
        raise ValueError(
            f"{qualname!r} is not of the form 'namespace::name': an operator lives in a namespace "
            "of its library's own"
        )
    name, _, overload = rest.partition(".")
    return space, name, overload or "default"


def enter(operator: OpOverload) -> OpOverload:
    """Make ``operator`` an attribute of its namespace. RuntimeError if there is one already."""
    space = namespace(operator.namespace)
    packet = vars(space).get(operator.packet_name)
    if packet is None:
        packet = OpOverloadPacket(operator.namespace, operator.packet_name)
        setattr(space, operator.packet_name, packet)
    if operator.overload in packet._overloads:
        raise RuntimeError(
            f"Tried to register an operator ({operator._schema}) with the same name and overload "
            "name multiple times. Each overload's schema should only be registered with a single "
            "call to def()."
        )
    packet._overloads[operator.overload] = operator
    return operator


def remove(operator: OpOverload) -> None:
    """Undo ``enter``."""
    packet = operator.overloadpacket
    del packet._overloads[operator.overload]
    if not packet._overloads:
        delattr(namespace(operator.namespace), operator.packet_name)


def find(qualname: str) -> OpOverload | None:
    """The operator that was registered as ``ns::name`` or ``ns::name.overload``."""
    space, name, overload = split(qualname)
    packet = vars(_namespaces.get(space, ModuleType(""))).get(name)
    return packet._overloads.get(overload) if packet is not None else None


HigherOrderOperator = refused(
    "torch._ops", "HigherOrderOperator", "a plain function may take functions"
)["HigherOrderOperator"]


def load_library(path: str) -> NoReturn:
    """Refused: OSError, as of a library that does not fit."""
    raise OSError(
        f"Could not load this library: {path}\n  flambeau runs Python alone: it cannot load "
        "operators that were compiled against PyTorch"
    )


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
