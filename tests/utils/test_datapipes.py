"""DataPipes. The shuffled orders are those that PyTorch 2.13 gives for the same seed."""

from __future__ import annotations

import operator
from pathlib import Path

import pytest

import flambeau as torch
from flambeau.utils.data import DataLoader, IterDataPipe, MapDataPipe, functional_datapipe
from flambeau.utils.data.datapipes.iter import FileLister, FileOpener, IterableWrapper
from flambeau.utils.data.datapipes.map import SequenceWrapper


def numbers(n: int) -> IterableWrapper:
    return IterableWrapper(range(n))


def test_steps_are_methods_and_begin_anew() -> None:
    pipe = numbers(7).map(operator.neg).filter(lambda x: x % 2 == 0).batch(2)
    assert list(pipe) == list(pipe) == [[0, -2], [-4, -6]]
    assert len(numbers(7).batch(3)) == 3 and len(numbers(7).batch(3, drop_last=True)) == 2
    assert list(numbers(7).batch(2).batch(2).unbatch(-1)) == list(range(7))
    assert list(numbers(4).batch(2).batch(2).unbatch()) == [[0, 1], [2, 3]]
    with pytest.raises(IndexError, match="exceeds the depth"):
        list(numbers(4).unbatch(2))
    assert list(numbers(2).concat(numbers(3))) == [0, 1, 0, 1, 2]
    assert list(numbers(3).zip(numbers(2))) == [(0, 0), (1, 1)]
    assert list(numbers(3).mux(numbers(2).map(operator.neg))) == [0, 0, 1, -1]
    assert torch.equal(next(iter(numbers(3).batch(3).collate())), torch.tensor([0, 1, 2]))
    with pytest.raises(AttributeError, match="'IterableWrapper' object has no attribute 'smooth'"):
        numbers(2).smooth()
    with pytest.raises(TypeError, match="valid length"):
        len(numbers(4).filter(bool).batch(2))


def test_map_takes_columns() -> None:
    rows = IterableWrapper([(1, 2, 3), (4, 5, 6)])
    assert list(rows.map(operator.neg, input_col=1)) == [(1, -2, 3), (4, -5, 6)]
    assert list(rows.map(operator.add, input_col=(0, 2), output_col=-1))[0] == (1, 2, 3, 4)
    assert list(rows.map(operator.add, input_col=(0, 2)))[1] == (10, 5)
    named = IterableWrapper([{"a": 1, "b": 2}])
    assert list(named.map(operator.neg, input_col="a", output_col="c")) == [
        {"a": 1, "b": 2, "c": -1}
    ]


def test_shuffled_order_is_pytorchs() -> None:
    torch.manual_seed(0)
    assert list(numbers(8).shuffle()) == SHUFFLED
    torch.manual_seed(0)
    assert list(numbers(8).shuffle(buffer_size=3)) == BUFFERED
    assert list(numbers(8).shuffle().set_seed(5)) == SEEDED
    assert list(numbers(4).shuffle().set_shuffle(False)) == [0, 1, 2, 3]
    torch.manual_seed(1)
    loader = DataLoader(numbers(8).shuffle(), batch_size=3)
    assert [b.tolist() for b in loader] == LOADED[0]
    assert [b.tolist() for b in loader] == LOADED[1]


SHUFFLED = [3, 7, 2, 0, 1, 6, 5, 4]
BUFFERED = [0, 1, 3, 5, 2, 4, 6, 7]
SEEDED = [4, 6, 2, 7, 0, 3, 1, 5]
LOADED = [[[2, 0, 4], [6, 5, 3], [1, 7]], [[0, 4, 5], [1, 6, 2], [3, 7]]]


def test_shuffle_of_the_loader() -> None:
    off = DataLoader(numbers(4).shuffle(), batch_size=None, shuffle=False)
    assert [int(x) for x in off] == [0, 1, 2, 3]
    with pytest.warns(UserWarning, match="does not contain a `Shuffler`"):
        on = DataLoader(numbers(20), batch_size=20, shuffle=True)
    (batch,) = on
    assert sorted(batch.tolist()) == list(range(20)) != batch.tolist()


def test_a_loader_goes_on_in_the_same_order() -> None:
    def loader() -> DataLoader:
        return DataLoader(numbers(20).shuffle(), batch_size=3)

    torch.manual_seed(0)
    whole = [b.tolist() for b in loader()]
    torch.manual_seed(0)
    stopped = loader()
    batches = iter(stopped)
    begun = [next(batches).tolist() for _ in range(2)]
    torch.manual_seed(9)
    resumed = loader()
    resumed.load_state_dict(stopped.state_dict())
    assert begun + [b.tolist() for b in resumed] == whole


def test_workers_share_the_samples_behind_a_sharding_filter() -> None:
    loader = DataLoader(numbers(10).shuffle().sharding_filter(), batch_size=2, num_workers=2)
    assert sorted(x for batch in loader for x in batch.tolist()) == list(range(10))


def test_fork_and_demux() -> None:
    first, second = numbers(4).fork(2)
    assert list(first.zip(second.map(operator.neg))) == [(0, 0), (1, -1), (2, -2), (3, -3)]
    assert list(first) == list(second) == [0, 1, 2, 3]
    even, odd = numbers(6).demux(2, lambda x: x % 2)
    assert list(even) == [0, 2, 4] and list(odd) == [1, 3, 5]
    one, _ = numbers(5).fork(2, buffer_size=2)
    with pytest.raises(BufferError, match="buffer overflow"):
        list(one)
    none, _ = numbers(3).demux(2, lambda x: None, drop_none=True)
    assert list(none) == []
    bad, _ = numbers(3).demux(2, lambda x: 7)
    with pytest.raises(ValueError, match="between 0 and 1. 7 is returned"):
        list(bad)


def test_files(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "c.bin"):
        (tmp_path / name).write_text(f"in {name}")
    found = FileLister(str(tmp_path), "*.txt")
    assert [Path(p).name for p in found] == ["a.txt", "b.txt"]
    read = list(FileOpener(found).read_from_stream())
    assert [text for _, text in read] == ["in a.txt", "in b.txt"]


def test_pipes_with_keys() -> None:
    pipe = SequenceWrapper([3, 1, 2]).map(operator.neg)
    assert pipe[1] == -1 and len(pipe) == 3
    assert pipe.batch(2)[1] == [-2] and pipe.concat(pipe)[4] == -1 and pipe.zip(pipe)[0] == (-3, -3)
    with pytest.raises(IndexError):
        pipe.concat(pipe)[6]
    assert sorted(pipe.shuffle()) == [-3, -2, -1]
    assert [b.tolist() for b in DataLoader(pipe, batch_size=2)] == [[-3, -1], [-2]]


def test_a_step_of_ones_own() -> None:
    @functional_datapipe("doubled_in_this_test")
    class Doubled(IterDataPipe):
        def __init__(self, source: IterDataPipe) -> None:
            self.source = source

        def __iter__(self) -> object:
            return (2 * x for x in self.source)

    assert list(numbers(3).doubled_in_this_test()) == [0, 2, 4]
    assert repr(numbers(1)) == "IterableWrapper"
    with pytest.raises(ValueError, match="already taken"):
        functional_datapipe("batch")(Doubled)
    with pytest.raises(TypeError, match="can only decorate"):
        functional_datapipe("other")(int)
    assert not hasattr(MapDataPipe, "doubled_in_this_test")
