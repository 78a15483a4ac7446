"""Datasets, samplers, collating and loaders: functions of the library, whose answers are compared.

``golden.json`` holds what PyTorch 2.13 answers; tests/golden.py records and compares.
"""

from __future__ import annotations

import collections
import importlib

import numpy as np

Point = collections.namedtuple("Point", "x y")


def _data(t):
    return importlib.import_module(f"{t.__name__}.utils.data")


def _said(function):
    """What a call returns or raises: type and the first line up to 150 letters."""
    try:
        return function()
    except KeyError as error:
        return f"KeyError: {str(error).split(':')[0]}"
    except Exception as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0][:150].rstrip('.')}"


def _tensors(t, n=5):
    return _data(t).TensorDataset(t.arange(n), t.arange(n) * 0.5)


# ---- datasets ------------------------------------------------------------------------------


def tensor_datasets(t):
    d = _tensors(t)
    return [len(d), d[1], d[-1], d[1:3], _said(lambda: d[5]),
            _said(lambda: _data(t).TensorDataset(t.arange(3), t.arange(4)))]  # fmt: skip


def concatenated(t):
    data = _data(t)
    d = data.ConcatDataset([_tensors(t, 2), [7, 8, 9], _tensors(t, 3)])
    return [
        len(d), d.cumulative_sizes, d[1], d[2], d[4], d[5], d[-1], d[-8],
        _said(lambda: d[-9]), _said(lambda: d[8]), _said(lambda: data.ConcatDataset([])),
        len(_tensors(t, 2) + _tensors(t, 3)),
    ]  # fmt: skip


def stacked(t):
    data = _data(t)
    pair = data.StackDataset([1, 2, 3], _tensors(t, 3))
    named = data.StackDataset(a=[1, 2, 3], b="xyz")
    return [
        len(pair), pair[1], named[2], named.__getitems__([0, 2]), pair.__getitems__([1]),
        _said(lambda: data.StackDataset([1], [1, 2])), _said(lambda: data.StackDataset()),
    ]  # fmt: skip


def subsets(t):
    data = _data(t)
    d = data.Subset(_tensors(t, 6), [5, 3, 1])
    return [len(d), d[0], d[[1, 2]], d.__getitems__([2, 0]), _said(lambda: d[3])]


def splits(t):
    data = _data(t)
    t.manual_seed(0)
    answers = []
    for lengths in ([3, 7], [0.3, 0.3, 0.4], [0.25, 0.75], [10, 0], [0.05, 0.95]):
        answers.append([list(s.indices) for s in data.random_split(range(10), lengths)])
    g = t.Generator().manual_seed(42)
    answers.append([list(s.indices) for s in data.random_split(range(9), [4, 5], generator=g)])
    answers.append(_said(lambda: data.random_split(range(10), [3, 3])))
    answers.append(_said(lambda: data.random_split(range(10), [1.5, -0.5])))
    answers.append(t.randint(0, 1000, (2,)))
    return answers


def chains(t):
    data = _data(t)

    class Count(data.IterableDataset):
        def __init__(self, n):
            self.n = n

        def __iter__(self):
            return iter(range(self.n))

        def __len__(self):
            return self.n

    d = Count(2) + Count(3)
    return [list(d), len(d), _said(lambda: list(data.ChainDataset([[1]]))),
            _said(lambda: data.ConcatDataset([Count(1)]))]  # fmt: skip


# ---- samplers ------------------------------------------------------------------------------


def random_samplers(t):
    data = _data(t)
    t.manual_seed(7)
    answers = []
    for n, options in (
        (5, {}), (5, {"num_samples": 12}), (5, {"num_samples": 10}), (7, {"replacement": True}),
        (9, {"replacement": True, "num_samples": 70}), (9, {"num_samples": 3}), (1, {}),
        (3, {"replacement": True, "num_samples": 64}),
    ):  # fmt: skip
        sampler = data.RandomSampler(range(n), **options)
        answers += [list(sampler), len(sampler), list(sampler)]
    answers.append(t.rand(2))
    g = t.Generator().manual_seed(1)
    for options in (
        {},
        {"num_samples": 10},
        {"replacement": True},
        {"replacement": True, "num_samples": 40},
    ):
        answers += [
            list(data.RandomSampler(range(5), generator=g, **options)),
            t.rand(1, generator=g),
        ]
    return answers


def other_samplers(t):
    data = _data(t)
    t.manual_seed(3)
    g = t.Generator().manual_seed(8)
    return [
        list(data.SequentialSampler("abc")),
        list(data.SubsetRandomSampler([9, 4, 2, 7])),
        list(data.SubsetRandomSampler([9, 4, 2, 7], generator=g)),
        list(data.WeightedRandomSampler([0.1, 0.9, 3.0], 12)),
        list(data.WeightedRandomSampler([0.1, 0.9, 3.0], 3, replacement=False)),
        list(data.WeightedRandomSampler(t.tensor([1.0, 2.0]), 5, generator=g)),
        t.rand(2), t.rand(2, generator=g),
        list(data.BatchSampler(range(7), 3, False)), list(data.BatchSampler(range(7), 3, True)),
        len(data.BatchSampler(range(7), 3, False)), len(data.BatchSampler(range(7), 3, True)),
        list(data.BatchSampler([], 3, False)), list(data.BatchSampler(range(6), 3, True)),
    ]  # fmt: skip


def distributed_samplers(t):
    data = _data(t)
    answers = []
    for n in (0, 1, 5, 8, 10):
        for replicas in (1, 2, 3):
            for rank in range(replicas):
                for drop_last in (False, True):
                    sampler = data.DistributedSampler(
                        range(n), replicas, rank, seed=4, drop_last=drop_last
                    )
                    answers.append([len(sampler), list(sampler)])
                    sampler.set_epoch(3)
                    answers.append(list(sampler))
    plain = data.DistributedSampler(range(7), 3, 1, shuffle=False)
    return [*answers, list(plain), _said(lambda: data.DistributedSampler(range(3), 2, 2))]


def refused_samplers(t):
    data = _data(t)
    return [
        _said(lambda: data.RandomSampler([])),
        _said(lambda: data.RandomSampler(range(3), replacement=1)),
        _said(lambda: data.RandomSampler(range(3), num_samples=0)),
        _said(lambda: data.RandomSampler(range(3), num_samples=2.0)),
        _said(lambda: data.BatchSampler(range(5), 0, False)),
        _said(lambda: data.BatchSampler(range(5), True, False)),
        _said(lambda: data.BatchSampler(range(5), 2, 1)),
        _said(lambda: data.WeightedRandomSampler([1.0], 0)),
        _said(lambda: data.WeightedRandomSampler([1.0], 1, 3)),
        _said(lambda: data.WeightedRandomSampler([[1.0, 2.0]], 1)),
    ]


# ---- collating -----------------------------------------------------------------------------


def _described(value):
    """Types, dtypes and values of a batch."""
    if hasattr(value, "dtype") and hasattr(value, "tolist"):
        return [str(value.dtype), list(value.shape), value.detach().tolist()
                if hasattr(value, "detach") else value.tolist()]  # fmt: skip
    if isinstance(value, dict):
        return [type(value).__name__, {k: _described(v) for k, v in value.items()}]
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *map(_described, value)]
    return [type(value).__name__, value if not isinstance(value, bytes) else str(value)]


def _batches(t):
    return [
        [1, 2], [1.5, 2.0], [1.5, 2], [1, 2.5], [True, False], [True, 2], ["a", "b"], [b"a", b"c"],
        [{"a": 1, "b": [1, 2]}, {"a": 2, "b": [3, 4]}], [Point(1, 2.0), Point(3, 4.0)],
        [(1, "a"), (2, "b")], [[1, 2], [3]], [np.float32(1), np.float32(2)],
        [np.arange(3), np.arange(3)], [np.array(3), np.array(4)], [np.zeros((2, 0))] * 2,
        [np.array("a")], [np.array(["a"])], [np.array([1, None])], [None], [object()],
        [t.ones(2), t.ones(3)], [t.tensor(1), t.tensor(2.0)], [t.tensor(1), t.tensor(2)],
        [t.zeros(2, 0)] * 3, [t.ones(2, dtype=t.bfloat16)] * 2, [t.ones(2, 3).t()] * 2,
        [t.tensor(True), t.tensor(False)], [t.tensor(1.5, dtype=t.float16)] * 2,
        [t.ones(2, requires_grad=True)] * 2, [{"a": 1}, {"b": 2}], [{"a": 1}, {"a": 2, "b": 3}],
        [{}, {}], [(), ()], [], [frozenset([1])], [collections.OrderedDict(a=1)],
        [collections.defaultdict(int, a=1)], [range(2), range(2)], [np.bool_(True)],
        [np.datetime64("2020")], [1, None], [complex(1)], [np.complex64(1j)],
        [np.float32(1), 2.0], [np.arange(3, dtype=np.int16), np.arange(3, dtype=np.int64)],
        [np.arange(6).reshape(2, 3).T] * 2, [np.uint16(3)] * 2,
        [[t.ones(1), (2, "x")]] * 2, [{1: t.tensor(float("nan"))}] * 2, [t.tensor(1j)] * 2,
    ]  # fmt: skip


def collated(t):
    collate = _data(t).default_collate
    return [_said(lambda batch=batch: _described(collate(batch))) for batch in _batches(t)]


def converted(t):
    values = [
        1, "a", b"b", None, np.arange(3), np.float32(1), {"a": np.arange(2)},
        Point(1, np.arange(2)), (1, np.arange(2)), [np.arange(2)], np.array("a"),
        np.array(["a"]), t.ones(1), range(3),
        collections.OrderedDict(a=np.arange(2)), [[np.int8(3)], {"x": (np.True_,)}],
    ]  # fmt: skip
    return [
        _said(lambda value=value: _described(_data(t).default_convert(value))) for value in values
    ]


def custom_types(t):
    utils = importlib.import_module(f"{t.__name__}.utils.data._utils.collate")

    class Box:
        def __init__(self, n):
            self.n = n

    class Little(Box):
        pass

    def together(batch, *, collate_fn_map=None):
        return sum(box.n for box in batch)

    known = {**utils.default_collate_fn_map, Box: together}
    return [
        utils.collate([{"b": Box(1), "i": 1}, {"b": Box(2), "i": 2}], collate_fn_map=known),
        utils.collate([Little(1), Little(4)], collate_fn_map=known),
        t.Tensor in utils.default_collate_fn_map,
        _said(lambda: utils.default_collate([Box(1)]))[:70],
    ]


# ---- loaders -------------------------------------------------------------------------------


def _lists(loader):
    return [_described(batch) for batch in loader]


def loaders(t):
    data = _data(t)
    t.manual_seed(42)
    tensors = _tensors(t, 7)
    g = t.Generator().manual_seed(3)
    answers = []
    for options in (
        {}, {"batch_size": 3}, {"batch_size": 3, "drop_last": True}, {"batch_size": None},
        {"batch_size": 3, "shuffle": True}, {"batch_size": 2, "shuffle": True, "generator": g},
        {"sampler": [3, 1], "batch_size": 2}, {"batch_sampler": [[0, 1], [5]]},
        {"batch_size": 4, "collate_fn": len}, {"batch_size": None, "shuffle": True},
        {"sampler": data.SubsetRandomSampler([1, 2, 3]), "batch_size": 2},
    ):  # fmt: skip
        loader = data.DataLoader(tensors, **options)
        answers += [len(loader), _lists(loader), _lists(loader), t.rand(1), t.rand(1, generator=g)]
    return answers


def draws_of_a_loader(t):
    """How far an iteration moves the generators."""
    data = _data(t)
    answers = []
    for options in ({}, {"shuffle": True}, {"num_workers": 1}, {"shuffle": True, "num_workers": 1},
                    {"num_workers": 1, "persistent_workers": True, "shuffle": True}):  # fmt: skip
        g = t.Generator().manual_seed(3)
        for chosen in ({}, {"generator": g}):
            t.manual_seed(9)
            loader = data.DataLoader(_tensors(t, 4), **options, **chosen)
            answers.append(t.rand(1))
            iterator = iter(loader)
            answers.append(t.rand(1))
            next(iterator)
            answers += [t.rand(1), [b[0].item() for b in iterator], t.rand(1)]
            answers += [[b[0].item() for b in loader], t.rand(1), t.rand(1, generator=g)]
    return answers


def shuffles_of_workers(t):
    data = _data(t)
    answers = []
    for workers in (1, 2):
        t.manual_seed(1)
        loader = data.DataLoader(_tensors(t, 9), 2, shuffle=True, num_workers=workers)
        answers.append([b[0].tolist() for _ in range(2) for b in loader])
    return answers


def iterables(t):
    data = _data(t)

    class Count(data.IterableDataset):
        def __iter__(self):
            info = data.get_worker_info()
            start, step = (0, 1) if info is None else (info.id, info.num_workers)
            return iter(range(start, 11, step))

    answers = []
    for options in (
        {}, {"batch_size": 3}, {"batch_size": 3, "drop_last": True}, {"batch_size": None},
        {"batch_size": 2, "num_workers": 2}, {"batch_size": 2, "num_workers": 2, "drop_last": True},
        {"batch_size": None, "num_workers": 3}, {"batch_size": 4, "num_workers": 3},
        {"batch_size": 20, "num_workers": 2},
        {"batch_size": 1, "num_workers": 2, "persistent_workers": True},
    ):  # fmt: skip
        loader = data.DataLoader(Count(), **options)
        answers.append([_lists(loader), _lists(loader)])
    return answers


def refused_loaders(t):
    data = _data(t)
    tensors = _tensors(t)

    class Count(data.IterableDataset):
        def __iter__(self):
            return iter(range(3))

    options = [
        {"num_workers": -1}, {"timeout": -1}, {"prefetch_factor": 2}, {"persistent_workers": True},
        {"prefetch_factor": -1, "num_workers": 1}, {"multiprocessing_context": "fork"},
        {"multiprocessing_context": "bad", "num_workers": 1}, {"shuffle": True, "sampler": [1]},
        {"multiprocessing_context": 3, "num_workers": 1}, {"batch_sampler": [[1]], "batch_size": 2},
        {"batch_sampler": [[1]], "shuffle": True}, {"batch_size": None, "drop_last": True},
        {"batch_size": 0}, {"batch_size": 2.0}, {"batch_sampler": [[1]], "drop_last": True},
    ]  # fmt: skip
    answers = [_said(lambda o=o: data.DataLoader(tensors, **o)) for o in options]
    for o in ({"shuffle": True}, {"sampler": [1]}, {"batch_sampler": [[1]]}):
        answers.append(_said(lambda o=o: data.DataLoader(Count(), **o)))
    loader = data.DataLoader(tensors)
    for name in ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset",
                 "persistent_workers"):  # fmt: skip
        answers.append(_said(lambda n=name: setattr(loader, n, 1)))
    return [*answers, _said(lambda: len(data.DataLoader(Count())))]
