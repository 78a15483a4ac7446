"""What to say about a name that is not there: whether PyTorch has it, and what comes close.

A module of the public API ends with

    def __getattr__(name: str) -> object:
        raise missing(__name__, name, globals())

``torch_names.txt`` holds PyTorch's public names (.ci/torch_names.py writes it). It is read, and
the message is put together, only when somebody reads the message: ``hasattr`` stays cheap.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from . import version


class MissingName(AttributeError):
    """A name that a module of the public API does not have (yet)."""

    # A traceback is to say what a user catches: AttributeError.
    __module__, __qualname__ = "builtins", "AttributeError"

    def __init__(self, owner: str, attribute: str, available: Iterable[str]) -> None:
        # Naming the attribute keeps the interpreter from adding a guess of its own.
        super().__init__(owner, attribute, name=attribute)
        self.available = available

    def __str__(self) -> str:
        owner, attribute = self.args
        return (
            f"module {spelled(owner)!r} has no attribute {attribute!r}\n"
            f"{advice(owner, attribute, self.available)}"
        )

    def __reduce__(self) -> tuple[type, tuple[str]]:
        """Carried to another process as its text: a module's names are not."""
        return AttributeError, (str(self),)


def missing(owner: str, name: str, available: Iterable[str]) -> AttributeError:
    """The exception for ``name`` asked of module ``owner`` ("flambeau.nn"), which has others."""
    return MissingName(owner, name, available)


def advice(owner: str, name: str, available: Iterable[str]) -> str:
    """Indented lines: does PyTorch have ``owner.name``, where else, and what comes close here."""
    torch_owner = "torch" + owner.removeprefix("flambeau").removeprefix("torch")
    full = f"{torch_owner}.{name}"
    api, mine = f"PyTorch {version.pytorch}", f"flambeau {version.flambeau}"
    names = torch_names()
    if name in names.get(torch_owner, ()) or full in names:
        lines = [f"{api} has {full}; {mine} does not have it yet (docs/map.md: what there is)"]
    else:
        lines = [f"{api} has no {full} either"]
        places = [place for place, held in names.items() if name in held]
        if places:
            places.sort(key=lambda place: (place.count("."), place))
            lines.append("it has " + ", ".join(f"{place}.{name}" for place in places[:3]))
    public = {n for n in available if not n.startswith("_")}
    ranked = sorted(((likeness(name, other), other) for other in public), reverse=True)
    close = [other for alike, other in ranked[:3] if alike >= 0.5]
    if close:
        lines.append(f"close to it in {spelled(owner)}: {', '.join(close)}")
    return "\n".join(f"  {line}" for line in lines)


def likeness(a: str, b: str) -> float:
    """How alike two names are, 0 to 1: the share of their pairs of neighbouring letters that both
    have (Dice's coefficient), capitals and small letters being the same.
    """
    x, y = ({w[i : i + 2] for i in range(len(w) - 1)} for w in (f"^{a.lower()}$", f"^{b.lower()}$"))
    return 2 * len(x & y) / (len(x) + len(y))


def spelled(owner: str) -> str:
    """A module's name as the user imported it: torch.nn under the alias, otherwise flambeau.nn."""
    aliased = "torch" in sys.modules and sys.modules["torch"] is sys.modules.get("flambeau")
    return "torch" + owner.removeprefix("flambeau") if aliased else owner


def torch_names() -> dict[str, list[str]]:
    """PyTorch's public API: module or class -> the names it holds."""
    path = os.path.join(os.path.dirname(__file__), "torch_names.txt")
    with open(path, encoding="ascii") as file:
        lines = (line.partition(":") for line in file)
        return {owner: names.split() for owner, _, names in lines}
