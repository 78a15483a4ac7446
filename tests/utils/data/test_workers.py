"""Workers: processes and threads, kept or not, in order or not, and what they are told."""

from __future__ import annotations

import os
import pickle
import random
import subprocess
import sys
import textwrap
import threading
import warnings

import numpy as np
import pytest

import flambeau as torch
from flambeau.utils.data import (
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    get_worker_info,
)

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")
fork_only = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
KINDS = [pytest.param("fork", marks=fork_only), "thread"]


class Squares(Dataset):
    def __init__(self, n: int = 20) -> None:
        self.n = n
        self.seen = []
        self.big = np.zeros(100_000)

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> tuple:
        info = get_worker_info()
        self.seen.append(i)
        return i * i, info.id, info.num_workers, len(self.seen), os.getpid(), info.dataset is self


@pytest.mark.parametrize("kind", KINDS)
def test_workers_know_themselves_and_have_datasets_of_their_own(kind: str) -> None:
    dataset = Squares()
    loader = DataLoader(dataset, batch_size=2, num_workers=3, multiprocessing_context=kind)
    for _ in range(2):
        rows = torch.cat([torch.stack(batch, 1) for batch in loader])
        assert rows[:, 0].tolist() == [i * i for i in range(20)]
        assert rows[:, 1].tolist() == [0, 0, 1, 1, 2, 2] * 3 + [0, 0]
        assert set(rows[:, 2].tolist()) == {3}
        assert rows[:, 3].tolist() == [1, 2, 1, 2, 1, 2, 3, 4, 3, 4, 3, 4, 5, 6, 5, 6, 5, 6, 7, 8]
        assert (os.getpid() in rows[:, 4].tolist()) == (kind == "thread")
        assert rows[:, 5].all()
    assert dataset.seen == [] and get_worker_info() is None


@pytest.mark.parametrize("kind", KINDS)
def test_persistent_workers_stay(kind: str) -> None:
    loader = DataLoader(
        Squares(8), batch_size=2, num_workers=2, persistent_workers=True,
        multiprocessing_context=kind,
    )  # fmt: skip
    first, second = ([b[3].tolist() for b in loader] for _ in range(2))
    assert first == [[1, 2], [1, 2], [3, 4], [3, 4]]
    assert second == [[5, 6], [5, 6], [7, 8], [7, 8]]
    iterator = iter(loader)
    next(iterator)
    assert [b[0].tolist() for b in loader] == [[0, 1], [4, 9], [16, 25], [36, 49]]
    with pytest.raises(RuntimeError, match="have begun another one"):
        next(iterator)


class Pause(Dataset):
    def __init__(self) -> None:
        self.event = threading.Event()

    def __len__(self) -> int:
        return 6

    def __getitem__(self, i: int) -> int:
        if i == 0:
            self.event.wait(20)
        return i

    def __deepcopy__(self, memo: dict) -> Pause:
        return self


def test_out_of_order_batches_come_as_they_are_ready() -> None:
    dataset = Pause()
    loader = DataLoader(
        dataset, num_workers=2, multiprocessing_context="thread", in_order=False, batch_size=None
    )
    iterator = iter(loader)
    first = [next(iterator) for _ in range(2)]
    dataset.event.set()
    assert 0 not in first
    assert sorted(first + list(iterator)) == list(range(6))


INIT = []


def note_worker(number: int) -> None:
    INIT.append(number)
    get_worker_info().dataset.n = 100 + number


class Told(Squares):
    def __getitem__(self, i: int) -> tuple:
        return self.n, len(INIT)


@pytest.mark.parametrize("kind", KINDS)
def test_worker_init_fn_is_called_once_in_each_worker(kind: str) -> None:
    INIT.clear()
    loader = DataLoader(
        Told(6), num_workers=2, multiprocessing_context=kind, worker_init_fn=note_worker,
        persistent_workers=True,
    )  # fmt: skip
    for _ in range(2):
        assert [b[0].item() for b in loader] == [100, 101] * 3
    assert sorted(INIT) == ([0, 1] if kind == "thread" else [])


def bad_start(number: int) -> None:
    raise LookupError("no disk")


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_of_worker_init_fn_is_passed_on(kind: str) -> None:
    loader = DataLoader(
        Told(6), num_workers=2, multiprocessing_context=kind, worker_init_fn=bad_start
    )
    with pytest.raises(LookupError, match="no disk"):
        list(loader)


class SometimesBad(Dataset):
    def __len__(self) -> int:
        return 6

    def __getitem__(self, i: int) -> int:
        if i == 2:
            raise OSError(5, "unreadable")
        return i


@pytest.mark.parametrize("kind", KINDS)
def test_an_iteration_goes_on_after_an_error(kind: str) -> None:
    iterator = iter(DataLoader(SometimesBad(), num_workers=2, multiprocessing_context=kind))
    got = []
    while True:
        try:
            got.append(next(iterator).item())
        except OSError as error:
            assert "unreadable" in str(error)
            got.append("error")
        except StopIteration:
            break
    assert got == [0, 1, "error", 3, 4, 5]


class BadEnd(IterableDataset):
    def __iter__(self):
        yield from range(3)
        raise ValueError("torn file")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_of_an_iterable_dataset_names_the_count(kind: str, workers: int) -> None:
    context = kind if workers else None
    iterator = iter(DataLoader(BadEnd(), num_workers=workers, multiprocessing_context=context))
    assert [next(iterator).item() for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="torn file") as raised:
        next(iterator)
    told = str(raised.value) + "".join(getattr(raised.value, "__notes__", []))
    assert "reading sample 3 of BadEnd" in told


class Shared(IterableDataset):
    """Shares its samples out by an order that all workers draw alike."""

    def __init__(self) -> None:
        self.rng = random.Random(3)

    def __iter__(self):
        info = get_worker_info()
        order = list(range(40))
        self.rng.shuffle(order)
        yield from order[info.id :: info.num_workers]


@pytest.mark.parametrize("kind", KINDS)
def test_an_iterable_dataset_keeps_its_own_generator(kind: str) -> None:
    loader = DataLoader(Shared(), num_workers=3, multiprocessing_context=kind)
    assert sorted(b.item() for b in loader) == list(range(40))


class Leaves(Dataset):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, i: int) -> int:
        if i == 2:
            raise SystemExit(3)
        return i

    def __deepcopy__(self, memo: dict) -> Dataset:
        return self


@pytest.mark.parametrize("kind", KINDS)
def test_a_worker_that_leaves_is_noticed(kind: str) -> None:
    loader = DataLoader(Leaves(), num_workers=2, multiprocessing_context=kind)
    with pytest.raises(RuntimeError, match="reading sample 2 of Leaves") as raised:
        list(loader)
    assert ("left with status 3" if kind == "fork" else "Caught SystemExit") in str(raised.value)


def test_which_workers_a_loader_has() -> None:
    def threads(dataset, **options) -> bool:
        return DataLoader(dataset, num_workers=1, **options)._uses_threads()

    tensors = TensorDataset(torch.arange(4))
    assert threads(tensors) and threads(Subset(tensors, [0])) and threads([1, 2])
    assert threads(ConcatDataset([tensors, [1]]))
    assert not threads(tensors, collate_fn=list) and not threads(Squares())
    assert not threads(tensors, worker_init_fn=print)
    assert not threads(tensors, multiprocessing_context="spawn")
    assert threads(Squares(), multiprocessing_context="thread")
    declared = Squares()
    declared.thread_safe = True
    assert threads(declared)
    many = Squares()
    many.names = list(range(1_000_001))
    assert threads(many) and not threads(many, worker_init_fn=print)


def test_a_tensor_dataset_is_read_whole() -> None:
    x, y = torch.randn(50, 3), torch.arange(50)
    loader = DataLoader(Subset(TensorDataset(x, y), range(10, 40)), batch_size=7, num_workers=2)
    got = list(loader)
    assert torch.equal(torch.cat([b[0] for b in got]), x[10:40])
    assert torch.equal(torch.cat([b[1] for b in got]), y[10:40])
    with pytest.raises(IndexError):
        list(DataLoader(TensorDataset(x), sampler=[3, 50]))
    grad = TensorDataset(torch.ones(4, requires_grad=True))
    assert next(iter(DataLoader(grad, batch_size=2)))[0].requires_grad


class Rarely(Dataset):
    def __init__(self) -> None:
        self.calls = 0

    def __len__(self) -> int:
        return 400

    def __getitem__(self, i: int) -> float:
        self.calls += 1
        return (
            random.random() if i % 90 == 89 else np.random.randn() if i % 150 == 149 else float(i)
        )


@fork_only
def test_samples_that_draw_rarely_have_their_streams_too() -> None:
    def read(workers: int, batch_size: int) -> list:
        torch.manual_seed(1)
        dataset = Rarely()
        loader = DataLoader(dataset, batch_size, num_workers=workers)
        got = [x for batch in loader for x in batch.tolist()]
        assert dataset.calls <= 402
        return got

    random.seed(0), np.random.seed(0)
    np.random.randn()
    state = np.random.get_state()
    wanted = read(0, 8)
    assert np.random.get_state()[2:] == state[2:]
    assert read(0, 400) == read(0, 1) == read(2, 8) == read(3, 5) == wanted
    assert len(set(wanted)) == 400


class NumpyDraws(Dataset):
    def __len__(self) -> int:
        return 6

    def __getitem__(self, i: int) -> float:
        return np.random.randn()


@fork_only
def test_another_kind_of_generator_behind_numpy_random() -> None:
    before = np.random.get_bit_generator()
    np.random.set_bit_generator(np.random.PCG64(1))
    try:
        np.random.randn()
        state = np.random.get_state(legacy=False)
        read = []
        for workers in (0, 2):
            torch.manual_seed(0)
            read.append([b.item() for b in DataLoader(NumpyDraws(), num_workers=workers)])
        assert read[0] == read[1] and len(set(read[0])) == 6
        assert np.random.get_state(legacy=False) == state
    finally:
        np.random.set_bit_generator(before)


class Nested(Dataset):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, i: int) -> float:
        before = random.random()
        inner = [b.item() for b in DataLoader(torch.arange(3), shuffle=True)]
        return before + random.random() + sum(inner) + torch.rand(1).item()


@fork_only
def test_a_loader_inside_a_sample_does_not_disturb_it() -> None:
    torch.manual_seed(0)
    plain = [b.item() for b in DataLoader(Nested())]
    torch.manual_seed(0)
    assert [b.item() for b in DataLoader(Nested(), num_workers=2)] == plain


def children() -> set[str]:
    """Processes of this one that run or wait to be collected; none where there is no /proc."""
    path = f"/proc/self/task/{os.getpid()}/children"
    if not os.path.exists(path):
        return set()
    with open(path) as file:
        return set(file.read().split())


@pytest.mark.parametrize("kind", KINDS)
def test_many_loaders_leave_nothing_behind(kind: str) -> None:
    threads, before = threading.active_count(), children()
    for _ in range(5):
        iterator = iter(DataLoader(Squares(), num_workers=2, multiprocessing_context=kind))
        next(iterator)
        del iterator
    for _ in range(3):
        list(DataLoader(Squares(4), num_workers=2, multiprocessing_context=kind))
    if kind == "thread":
        import time

        end = time.monotonic() + 5
        while threading.active_count() > threads and time.monotonic() < end:
            time.sleep(0.01)
        assert threading.active_count() <= threads
    assert children() <= before


def test_a_loader_can_be_pickled() -> None:
    loader = DataLoader([1, 2, 3], batch_size=2, num_workers=1)
    list(loader)
    assert [b.tolist() for b in pickle.loads(pickle.dumps(loader))] == [[1, 2], [3]]


class Odd(Dataset):
    def __len__(self) -> int:
        return 3

    def __getitem__(self, i: int) -> dict:
        return {
            "half": torch.full((2,), i, dtype=torch.bfloat16), "turned": torch.ones(2, 3).t(),
            "empty": torch.empty(0, 3), "bool": torch.tensor(i == 1), "text": f"number {i}",
            "array": np.arange(4)[::2], "complex": torch.tensor(1j * i), "none": "x" * 40_000,
        }  # fmt: skip


def keep(samples: list) -> list:
    return samples


@fork_only
@pytest.mark.parametrize("collate", [None, keep])
def test_everything_gets_through_processes(collate) -> None:
    def described(value: object) -> object:
        if isinstance(value, (torch.Tensor, np.ndarray)):
            return type(value), value.dtype, tuple(value.shape), value.tolist()
        if isinstance(value, dict):
            return {k: described(v) for k, v in value.items()}
        return [described(v) for v in value] if isinstance(value, (list, tuple)) else value

    options = {"batch_size": 2, "collate_fn": collate}
    here = [described(b) for b in DataLoader(Odd(), **options)]
    assert [described(b) for b in DataLoader(Odd(), num_workers=2, **options)] == here


def test_what_cannot_be_pickled_is_told_the_way_out() -> None:
    """12831, 139792."""
    dataset = Squares()
    dataset.transform = lambda x: x
    loader = DataLoader(dataset, num_workers=1, multiprocessing_context="spawn")
    with pytest.raises(Exception, match="pickle") as raised:
        next(iter(loader))
    assert "multiprocessing_context='fork' and 'thread' do not" in raised.value.__notes__[0]
    threads = DataLoader(dataset, num_workers=1, multiprocessing_context="thread")
    assert len(list(threads)) == 20


SCRIPT = """
    import torch
    from torch.utils.data import DataLoader, Dataset, TensorDataset

    class Rows(Dataset):
        def __init__(self):
            self.x = torch.arange(12.0).reshape(6, 2)
        def __len__(self):
            return 6
        def __getitem__(self, i):
            return self.x[i] + torch.rand(1)

    if __name__ == "__main__":
        torch.manual_seed(0)
        plain = torch.cat(list(DataLoader(Rows(), batch_size=2)))
        for method in ("spawn", "forkserver"):
            torch.manual_seed(0)
            loader = DataLoader(Rows(), 2, num_workers=1, multiprocessing_context=method)
            assert torch.equal(torch.cat(list(loader)), plain), method
        print("the same")
"""


@fork_only
def test_other_ways_to_start_processes_under_the_torch_name(tmp_path) -> None:
    script = tmp_path / "rows.py"
    script.write_text(textwrap.dedent(SCRIPT))
    source = os.path.dirname(os.path.dirname(torch.__file__))
    done = subprocess.run(
        [sys.executable, "-m", "flambeau", "run", script], capture_output=True, text=True,
        timeout=120, env={**os.environ, "PYTHONPATH": source}, check=False,
    )  # fmt: skip
    assert done.stdout == "the same\n", done.stderr


def test_warnings_are_pytorchs() -> None:
    class Liar(IterableDataset):
        def __iter__(self):
            return iter(range(3))

        def __len__(self) -> int:
            return 2

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loader = DataLoader(Liar(), pin_memory=True)
        len(loader), list(loader)
        DataLoader([1], num_workers=1000)
    told = [str(w.message) for w in caught]
    assert "'pin_memory' argument is set as true but no accelerator is found" in told[0]
    assert "was reported to be 2(when accessing len(dataloader)), but 3 samples" in told[1]
    assert "This DataLoader will create 1000 worker processes in total" in told[2]
