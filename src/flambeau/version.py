"""The version, in its one place (PyTorch's ``torch.version``).

``torch`` and ``flambeau`` name the same module, so one string has to satisfy both a reader and
a script that parses it: ``2.13.0+flambeau.0.1.0`` is PyTorch's API version with flambeau's own
as the local part of PEP 440. It compares as at least 2.13 wherever a script asks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

#: flambeau's own version; the packaging reads this line.
flambeau: str = "0.1.0"
#: The version of PyTorch whose API and behaviour this is.
pytorch: str = "2.13.0"


def _key(version: str | Sequence[int]) -> tuple[list[int], str]:
    """Release numbers padded to eight, then the local part: ``2.13+x`` is ([2, 13, 0, ...], +x)."""
    numbers, local = version, ""
    if isinstance(version, str):
        found = re.match(r"(\d+(?:\.\d+)*)[^+]*(.*)", version)
        if found is None:
            raise ValueError(f"{version!r} is no version number")
        numbers, local = found[1].split("."), found[2]
    padded = [int(number) for number in numbers]
    return padded + [0] * (8 - len(padded)), local


class TorchVersion(str):
    """A version string whose order is that of versions: ``__version__ >= (2, 4)`` or ``>= "2.4"``.

    Numbers are compared as numbers ("2.13" comes after "2.4"), and a local part after none.
    """

    __slots__ = ()

    def __lt__(self, other: str | Sequence[int]) -> bool:
        return _key(str(self)) < _key(other)

    def __le__(self, other: str | Sequence[int]) -> bool:
        return _key(str(self)) <= _key(other)

    def __gt__(self, other: str | Sequence[int]) -> bool:
        return _key(str(self)) > _key(other)

    def __ge__(self, other: str | Sequence[int]) -> bool:
        return _key(str(self)) >= _key(other)


__version__: TorchVersion = TorchVersion(f"{pytorch}+flambeau.{flambeau}")
#: The GPU toolkits that PyTorch may be built with; flambeau is built with none.
cuda: str | None = None
hip: str | None = None
xpu: str | None = None
debug: bool = False
git_version: str = "unknown"
