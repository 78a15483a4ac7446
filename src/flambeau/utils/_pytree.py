"""Nested containers as a flat list and what it takes to nest it again.

Lists, tuples, named tuples, dicts, OrderedDicts, defaultdicts and deques are containers, and
whatever else ``register_pytree_node`` says; everything else is a leaf.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

PyTree = Any
Context = Any


class NodeDef(NamedTuple):
    """A kind of container.

    ``flatten_fn(value)``                children and a context
    ``unflatten_fn(children, context)``  the value again
    ``flatten_with_keys_fn(value)``      pairs of step and child, and the context; None: steps are
                                         numbers
    """

    type: Any
    flatten_fn: Callable
    unflatten_fn: Callable
    flatten_with_keys_fn: Callable | None = None


def _list_flatten(value: list) -> tuple[list, None]:
    return list(value), None


def _list_unflatten(children: Iterable, context: Context) -> list:
    return list(children)


def _dict_flatten(value: dict) -> tuple[list, list]:
    return list(value.values()), list(value)


def _dict_unflatten(children: Iterable, keys: list) -> dict:
    return dict(zip(keys, children, strict=True))


def _dict_flatten_with_keys(value: dict) -> tuple[list, list]:
    return [(MappingKey(key), child) for key, child in value.items()], list(value)


#: The containers by type; ``namedtuple`` stands for all classes that it made.
SUPPORTED_NODES: dict[Any, NodeDef] = {
    node.type: node
    for node in (
        NodeDef(list, _list_flatten, _list_unflatten),
        NodeDef(tuple, _list_flatten, lambda children, _: tuple(children)),
        NodeDef(
            namedtuple,
            lambda v: (list(v), type(v)),
            lambda children, cls: cls(*children),
            lambda v: ([(GetAttrKey(n), child) for n, child in zip(v._fields, v)], type(v)),
        ),
        NodeDef(dict, _dict_flatten, _dict_unflatten, _dict_flatten_with_keys),
        NodeDef(
            OrderedDict,
            _dict_flatten,
            lambda children, keys: OrderedDict(zip(keys, children, strict=True)),
            _dict_flatten_with_keys,
        ),
        NodeDef(
            defaultdict,
            lambda v: (list(v.values()), [v.default_factory, list(v)]),
            lambda children, c: defaultdict(c[0], zip(c[1], children, strict=True)),
            lambda v: (_dict_flatten_with_keys(v)[0], [v.default_factory, list(v)]),
        ),
        NodeDef(deque, lambda v: (list(v), v.maxlen), lambda children, n: deque(children, n)),
    )
}


def register_pytree_node(
    cls: type,
    flatten_fn: Callable,
    unflatten_fn: Callable,
    *,
    flatten_with_keys_fn: Callable | None = None,
    **names: Any,
) -> None:
    """Make ``cls`` a container: see ``NodeDef``. ValueError if it is one already."""
    if cls in SUPPORTED_NODES:
        raise ValueError(f"{cls} is already registered as pytree node.")
    SUPPORTED_NODES[cls] = NodeDef(cls, flatten_fn, unflatten_fn, flatten_with_keys_fn)


_register_pytree_node = _private_register_pytree_node = register_pytree_node


def is_namedtuple(value: Any) -> bool:
    """Whether ``value`` is a named tuple."""
    return is_namedtuple_class(type(value))


def is_namedtuple_class(cls: type) -> bool:
    """Whether ``cls`` makes named tuples."""
    return isinstance(cls, type) and issubclass(cls, tuple) and hasattr(cls, "_fields")


is_namedtuple_instance = is_namedtuple


def _get_node_type(tree: Any) -> Any:
    """The key of a value in ``SUPPORTED_NODES``, if it is a container."""
    return namedtuple if is_namedtuple(tree) and type(tree) not in SUPPORTED_NODES else type(tree)


def _node(value: Any) -> NodeDef | None:
    return SUPPORTED_NODES.get(_get_node_type(value))


def tree_is_leaf(tree: PyTree, is_leaf: Callable[[Any], bool] | None = None) -> bool:
    """Whether ``tree`` is no container."""
    return _node(tree) is None or (is_leaf is not None and is_leaf(tree))


_is_leaf = tree_is_leaf


class TreeSpec:
    """How a flat list of leaves is nested: ``type`` and ``context`` of the container, and the
    specs of its children. A leaf has ``type`` None."""

    __slots__ = ("_children", "context", "num_leaves", "type")

    def __init__(self, type: type | None, context: Context, children: list[TreeSpec]) -> None:
        self.type = type
        self.context = context
        self._children = children
        self.num_leaves = sum(c.num_leaves for c in children) if type is not None else 1

    @property
    def children_specs(self) -> list[TreeSpec]:
        """The specs of the children."""
        return self._children

    @property
    def num_children(self) -> int:
        """How many children there are."""
        return len(self._children)

    def is_leaf(self) -> bool:
        """Whether this is no container."""
        return self.type is None

    def flatten_up_to(self, tree: PyTree) -> list:
        """The parts of ``tree`` that stand where this spec has leaves."""
        if self.type is None:
            return [tree]
        if _get_node_type(tree) is not self.type:
            raise ValueError(f"Type mismatch; expected {self.type!r}, but got {type(tree)!r}.")
        children, _ = _node(tree).flatten_fn(tree)
        if len(children) != len(self._children):
            raise ValueError(
                f"Node arity mismatch; expected {len(self._children)}, but got {len(children)}."
            )
        return [x for s, c in zip(self._children, children) for x in s.flatten_up_to(c)]

    def unflatten(self, leaves: Iterable[Any]) -> PyTree:
        """``tree_unflatten(leaves, self)``."""
        return tree_unflatten(leaves, self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TreeSpec) and (self.type, self.context, self._children) == (
            other.type,
            other.context,
            other._children,
        )

    def __hash__(self) -> int:
        return hash((self.type, tuple(self._children)))

    def __repr__(self) -> str:
        if self.type is None:
            return "*"
        return f"TreeSpec({self.type.__name__}, {self.context}, {self._children})"


def LeafSpec() -> TreeSpec:
    """The spec of a leaf."""
    return TreeSpec(None, None, [])


def _flatten_into(tree: PyTree, leaves: list, is_leaf: Callable[[Any], bool] | None) -> TreeSpec:
    node = _node(tree)
    if node is None or (is_leaf is not None and is_leaf(tree)):
        leaves.append(tree)
        return LeafSpec()
    children, context = node.flatten_fn(tree)
    return TreeSpec(
        _get_node_type(tree), context, [_flatten_into(c, leaves, is_leaf) for c in children]
    )


def tree_flatten(
    tree: PyTree, is_leaf: Callable[[Any], bool] | None = None
) -> tuple[list[Any], TreeSpec]:
    """The leaves of ``tree`` in order, and its spec. ``is_leaf``: what else is not entered."""
    leaves: list = []
    return leaves, _flatten_into(tree, leaves, is_leaf)


def _unflatten(leaves: Iterable[Any], spec: TreeSpec) -> PyTree:
    if spec.type is None:
        return next(leaves)
    children = [_unflatten(leaves, c) for c in spec._children]
    return SUPPORTED_NODES[spec.type].unflatten_fn(children, spec.context)


def tree_unflatten(leaves: Iterable[Any], treespec: TreeSpec) -> PyTree:
    """The tree of ``treespec`` with these leaves. ValueError for another number of them."""
    leaves = list(leaves)
    if len(leaves) != treespec.num_leaves:
        raise ValueError(
            f"tree_unflatten(leaves, treespec): `leaves` has length {len(leaves)} but the spec "
            f"refers to a pytree that holds {treespec.num_leaves} items ({treespec})."
        )
    return _unflatten(iter(leaves), treespec)


def tree_leaves(tree: PyTree, is_leaf: Callable[[Any], bool] | None = None) -> list[Any]:
    """The leaves of ``tree`` in order."""
    return tree_flatten(tree, is_leaf)[0]


tree_iter = tree_leaves


def tree_structure(tree: PyTree, is_leaf: Callable[[Any], bool] | None = None) -> TreeSpec:
    """The spec of ``tree``."""
    return tree_flatten(tree, is_leaf)[1]


def tree_map(
    func: Callable, tree: PyTree, *rests: PyTree, is_leaf: Callable[[Any], bool] | None = None
) -> PyTree:
    """``tree`` with ``func(leaf, ...)`` for every leaf, and for the parts of ``rests`` there."""
    leaves, spec = tree_flatten(tree, is_leaf)
    others = [spec.flatten_up_to(r) for r in rests]
    return tree_unflatten([func(*parts) for parts in zip(leaves, *others, strict=True)], spec)


def tree_map_(
    func: Callable, tree: PyTree, *rests: PyTree, is_leaf: Callable[[Any], bool] | None = None
) -> PyTree:
    """``func`` called for every leaf; returns ``tree``."""
    tree_map(func, tree, *rests, is_leaf=is_leaf)
    return tree


@dataclass(frozen=True)
class MappingKey:
    """A step into a dict."""

    key: Any

    def __str__(self) -> str:
        return f"[{self.key!r}]"

    def get(self, obj: Any) -> Any:
        """What ``obj`` has there."""
        return obj[self.key]


@dataclass(frozen=True)
class SequenceKey:
    """A step into a list, a tuple or another container."""

    idx: int

    def __str__(self) -> str:
        return f"[{self.idx!r}]"

    def get(self, obj: Any) -> Any:
        """What ``obj`` has there."""
        return obj[self.idx]


@dataclass(frozen=True)
class GetAttrKey:
    """A step into a named tuple."""

    name: str

    def __str__(self) -> str:
        return f".{self.name}"

    def get(self, obj: Any) -> Any:
        """What ``obj`` has there."""
        return getattr(obj, self.name)


KeyPath = tuple[MappingKey | SequenceKey | GetAttrKey, ...]


def keystr(kp: KeyPath) -> str:
    """The steps as Python writes them: ``['a'][0].x``."""
    return "".join(map(str, kp))


def _paths(tree: PyTree, spec: TreeSpec, way: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    if spec.type is None:
        yield way, tree
        return
    node = _node(tree)
    if node.flatten_with_keys_fn is not None:
        pairs, _ = node.flatten_with_keys_fn(tree)
    else:
        pairs = [(SequenceKey(i), child) for i, child in enumerate(node.flatten_fn(tree)[0])]
    for (key, child), below in zip(pairs, spec._children):
        yield from _paths(child, below, (*way, key))


def tree_flatten_with_path(
    tree: PyTree, is_leaf: Callable[[Any], bool] | None = None
) -> tuple[list[tuple[KeyPath, Any]], TreeSpec]:
    """The leaves of ``tree`` in order, each behind the steps that lead to it, and the spec."""
    spec = tree_structure(tree, is_leaf)
    return list(_paths(tree, spec, ())), spec


def tree_leaves_with_path(
    tree: PyTree, is_leaf: Callable[[Any], bool] | None = None
) -> list[tuple[KeyPath, Any]]:
    """The leaves of ``tree`` in order, each behind the steps that lead to it."""
    return tree_flatten_with_path(tree, is_leaf)[0]


def tree_map_with_path(
    func: Callable, tree: PyTree, *rests: PyTree, is_leaf: Callable[[Any], bool] | None = None
) -> PyTree:
    """``tree`` with ``func(steps, leaf, ...)`` for every leaf, and for the parts of ``rests``
    there."""
    leaves, spec = tree_flatten_with_path(tree, is_leaf)
    others = [spec.flatten_up_to(r) for r in rests]
    results = [func(*leaf, *parts) for leaf, *parts in zip(leaves, *others, strict=True)]
    return tree_unflatten(results, spec)


def _of(kind: Any) -> Callable[[Any], bool]:
    if isinstance(kind, (type, tuple)) or not callable(kind):
        return lambda x: isinstance(x, kind)
    return kind


def tree_map_only(
    kind: Any,
    func: Callable,
    tree: PyTree | None = None,
    is_leaf: Callable[[Any], bool] | None = None,
) -> PyTree:
    """``tree`` with ``func(leaf)`` for the leaves of type ``kind``."""
    wanted = _of(kind)
    return tree_map(lambda x: func(x) if wanted(x) else x, tree, is_leaf=is_leaf)


def tree_map_only_(
    kind: Any, func: Callable, tree: PyTree, is_leaf: Callable[[Any], bool] | None = None
) -> PyTree:
    """``func`` called for the leaves of type ``kind``; returns ``tree``."""
    tree_map_only(kind, func, tree, is_leaf)
    return tree


def tree_all(pred: Callable[[Any], bool], tree: PyTree) -> bool:
    """Whether ``pred`` holds for every leaf."""
    return all(map(pred, tree_leaves(tree)))


def tree_any(pred: Callable[[Any], bool], tree: PyTree) -> bool:
    """Whether ``pred`` holds for a leaf."""
    return any(map(pred, tree_leaves(tree)))


def tree_all_only(kind: Any, pred: Callable[[Any], bool], tree: PyTree) -> bool:
    """Whether ``pred`` holds for every leaf of type ``kind``."""
    wanted = _of(kind)
    return all(pred(x) for x in tree_leaves(tree) if wanted(x))


def tree_any_only(kind: Any, pred: Callable[[Any], bool], tree: PyTree) -> bool:
    """Whether ``pred`` holds for a leaf of type ``kind``."""
    wanted = _of(kind)
    return any(pred(x) for x in tree_leaves(tree) if wanted(x))


def broadcast_to(prefix: PyTree, spec: TreeSpec) -> list[Any] | None:
    """A leaf of ``prefix`` for every leaf of ``spec``: where ``prefix`` ends early, its leaf counts
    for all below. None where the two do not fit."""
    if spec.type is None or _node(prefix) is None:
        return None if _node(prefix) is not None else [prefix] * spec.num_leaves
    if _get_node_type(prefix) is not spec.type:
        return None
    children, context = _node(prefix).flatten_fn(prefix)
    if len(children) != len(spec._children) or context != spec.context:
        return None
    result: list = []
    for child, part in zip(children, spec._children):
        below = broadcast_to(child, part)
        if below is None:
            return None
        result += below
    return result


# ---- PyTorch's further names ---------------------------------------------------------------------

PyTreeSpec = TreeSpec


def arg_tree_leaves(*args: PyTree, **kwargs: PyTree) -> list[Any]:
    """The leaves of all arguments."""
    return tree_leaves((list(args), kwargs))


def _register_namedtuple(cls: type, *, serialized_type_name: str) -> None:
    """Accepted: named tuples are containers without being told."""


def is_structseq_class(cls: type) -> bool:
    """Whether ``cls`` makes tuples with named fields that C defines, such as ``gmtime()``'s."""
    return (
        isinstance(cls, type)
        and issubclass(cls, tuple)
        and all(isinstance(getattr(cls, f"n_{n}", None), int)
                for n in ("fields", "sequence_fields", "unnamed_fields"))
    )  # fmt: skip


def is_structseq(obj: Any) -> bool:
    """Whether ``obj``, or the class that it is, is one of those."""
    return is_structseq_class(obj if isinstance(obj, type) else type(obj))


def is_structseq_instance(obj: Any) -> bool:
    """Whether ``obj`` is a value of such a class."""
    return is_structseq_class(type(obj))


def key_get(obj: Any, kp: KeyPath) -> Any:
    """What stands in ``obj`` at the path ``kp``."""
    for key in kp:
        obj = key.get(obj)
    return obj


def treespec_pprint(treespec: TreeSpec) -> str:
    """The nesting as text, with ``*`` for leaves."""
    return str(tree_unflatten([_Star()] * treespec.num_leaves, treespec))


class _Star:
    def __repr__(self) -> str:
        return "*"
