"""Damaged and hostile checkpoints by the thousand: each loads, or is refused with a message.

    python tests/serialization/fuzz.py --count 10000

``test_fuzz.py`` runs a part of it. Nothing may be run, crash, hang, or take more memory than twice
the file and a constant for the interpreter's own objects.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import io
import pickle
import random
import resource
import struct
import sys
import time
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path

import flambeau

GOLDEN = Path(__file__).parent / "golden"
SPARE = 4 << 20  # bytes of memory beyond twice the file: Python's objects, the zip's directory
SECONDS = 5.0  # for one file
TOLD = (pickle.UnpicklingError, EOFError, RuntimeError)


def sources() -> dict[str, bytes]:
    """The files to be damaged: every format, and pickles of protocol 4."""
    found = {path.name: path.read_bytes() for path in sorted(GOLDEN.glob("*.pt"))}
    out = io.BytesIO()
    flambeau.save({"a": flambeau.arange(300.0), "b": [1, "two", 3.0]}, out, pickle_protocol=4)
    found["protocol4.pt"] = out.getvalue()
    return found


def mutated(data: bytes, rng: random.Random) -> bytes:
    """``data`` with a few changes of one kind."""
    out = bytearray(data)
    kind = rng.randrange(8)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        if not out:
            break
        at = rng.randrange(len(out))
        if kind == 0:
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            out[at] = rng.randrange(256)
        elif kind == 2:  # a number that lies: sizes and offsets are 2, 4 or 8 bytes
            form = rng.choice(("<H", "<L", "<Q"))
            size = struct.calcsize(form)
            value = rng.choice((0, 1, 2 ** (8 * size) - 1, 2 ** (8 * size - 1), 2**15, 2**16 - 1))
            out[at : at + size] = struct.pack(form, value)
        elif kind == 3:
            del out[at : at + rng.randrange(1, 200)]
        elif kind == 4:
            start = rng.randrange(len(out))
            out[at:at] = out[start : start + rng.randrange(1, 200)]
        elif kind == 5:
            del out[at:]
        elif kind == 6:
            out[at:at] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 30)))
        else:
            out[at] = rng.choice(b"(.012FGIJKLMNPQRSTUVXabcdeghijloprstu}]){\x80\x81\x92\x93\x94")
    return bytes(out)


def repacked(data: bytes, rng: random.Random) -> bytes:
    """An archive whose pickle is damaged and whose checksums are right again."""
    if not data.startswith(b"PK"):
        return mutated(data, rng)
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("data.pkl"):
                content = mutated(content, rng)
            new.writestr(name, content)
    return out.getvalue()


def cases(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """``count`` damaged files, the same for one seed."""
    rng = random.Random(seed)
    files = sources()
    for i in range(count):
        name = rng.choice(sorted(files))
        change = repacked if rng.random() < 0.5 else mutated
        yield f"{name} #{i}", change(files[name], rng)


class Watch:
    """Notices code that runs: anything a pickle may call shows itself in these events."""

    WATCHED = ("os.", "subprocess.", "exec", "compile", "socket.", "shutil.", "import", "ctypes.")

    def __init__(self) -> None:
        self.on = False
        self.seen: list[str] = []
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple) -> None:
        if self.on and event.startswith(self.WATCHED) and event != "ctypes.set_errno":
            self.seen.append(f"{event} {str(arguments)[:80]}")


def run(count: int, seed: int, watch: Watch) -> collections.Counter:
    """Load ``count`` damaged files; AssertionError for the first that does what it may not."""
    for data in sources().values():  # whatever is imported, is imported now
        with contextlib.suppress(*TOLD):
            flambeau.load(io.BytesIO(data))
    for codec in ("cp437", "raw-unicode-escape", "unicode-escape", "ascii", "latin1"):
        b"a".decode(codec)  # Python imports a codec when it is first used
    told: collections.Counter = collections.Counter()
    for name, data in cases(count, seed):
        tracemalloc.start()
        start = time.perf_counter()
        watch.seen.clear()
        watch.on = True
        try:
            flambeau.load(io.BytesIO(data))
            told["loaded"] += 1
        except TOLD as error:
            if not str(error):
                raise AssertionError(f"{name}: refused without a word") from error
            told[f"{type(error).__name__}"] += 1
        except BaseException as error:
            raise AssertionError(f"{name}: {type(error).__name__}: {error}") from error
        finally:
            watch.on = False
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        if watch.seen:
            raise AssertionError(f"{name}: {watch.seen}")
        if peak > 2 * len(data) + SPARE:
            raise AssertionError(f"{name}: {peak:,} bytes of memory for a file of {len(data):,}")
        if time.perf_counter() - start > SECONDS:
            raise AssertionError(f"{name}: {time.perf_counter() - start:.1f} s")
    return told


def main() -> None:
    """Fuzz with limits on memory, so that a large allocation fails at once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    start = time.perf_counter()
    told = run(options.count, options.seed, Watch())
    seconds = time.perf_counter() - start
    counts = ", ".join(f"{kind} {number:,}" for kind, number in told.items())
    print(f"{options.count:,} files in {seconds:.0f} s: {counts}")


if __name__ == "__main__":
    main()
