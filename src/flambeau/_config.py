"""Every switch of flambeau, in one place: typed, documented, read from the environment once.

A flag named ``recycle_memory`` is set by ``FLAMBEAU_RECYCLE_MEMORY=0`` before the import, or
for a while by ``with flambeau._config.override(recycle_memory=False):``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


def _flag(name: str, default: bool) -> bool:
    return os.environ.get("FLAMBEAU_" + name.upper(), "1" if default else "0") not in (
        "0",
        "",
        "no",
    )


# Keep freed memory of large arrays in the process instead of giving the pages back to the
# kernel: fresh pages cost more than the arithmetic done on them. Read at import.
recycle_memory: bool = _flag("recycle_memory", True)

# Cut elementwise work on large arrays into pieces for all usable processors.
threads: bool = _flag("threads", True)

# Run elementwise operations on large arrays by compiled kernels, where llvmlite is installed.
# Their results differ from NumPy's in the last digit or two.
compiled_kernels: bool = _flag("compiled_kernels", True)

# Give each sample of a DataLoader a stream of random numbers of its own, the same for any number of
# workers. 0: as in PyTorch, where samples draw from the generators of whoever reads them.
sample_seeds: bool = _flag("sample_seeds", True)

# Where compiled code is kept between processes: a directory; "" for nowhere; None for the usual
# place of caches (~/.cache/flambeau).
cache: str | None = os.environ.get("FLAMBEAU_CACHE")

# "kernels": one line to stderr for each kernel, product and call that a compiled program runs, with
# its time and speed.
debug: str = os.environ.get("FLAMBEAU_DEBUG", "")

# "short": a traceback ends in the user's own line; "full": with flambeau's frames as well.
traceback: str = os.environ.get("FLAMBEAU_TRACEBACK", "short")

# Warn of probable mistakes in the whole program, as ``with flambeau.check():`` does for a part.
# Read at import.
check: bool = _flag("check", False)


@contextmanager
def override(**flags: object) -> Iterator[None]:
    """Set flags for the length of a ``with`` block."""
    names = globals()
    unknown = [f for f in flags if f not in __annotations__]
    if unknown:
        raise TypeError(f"no flag named {unknown[0]!r}; there are {', '.join(__annotations__)}")
    before = {f: names[f] for f in flags}
    names.update(flags)
    try:
        yield
    finally:
        names.update(before)
