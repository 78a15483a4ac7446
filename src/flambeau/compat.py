"""The name ``torch`` for flambeau: ``import torch.nn as nn`` gives flambeau's own module object.

``install()`` puts a finder in front of all others; ``flambeau run`` calls it. Each module that
is asked for as ``torch.x`` is imported as ``flambeau.x``, and both names stand for one object:
``sys.modules["torch.nn"] is sys.modules["flambeau.nn"]``.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from ._missing import MissingName, advice, torch_names
from .version import __version__

ROOT = __name__.partition(".")[0]
#: A folder whose torch.py calls ``install()``: on PYTHONPATH, it brings the alias to children.
ALIAS_PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_alias")


class TorchDistribution(metadata.Distribution):
    """What ``importlib.metadata`` says of the package "torch": its name, and flambeau's version.

    Libraries ask it whether PyTorch is installed, and which. There are no files to list.
    """

    def read_text(self, filename: str) -> str | None:
        """The text of a file of the package's metadata; None where there is no such file."""
        return {
            "METADATA": f"Metadata-Version: 2.1\nName: torch\nVersion: {__version__}\n",
            "top_level.txt": "torch\n",
        }.get(filename)

    def locate_file(self, path: str | os.PathLike[str]) -> Path:
        """Where a file of the package would be, beside flambeau's."""
        return Path(__file__).parent.parent / path


class TorchFinder:
    """Finder and loader in one (PEP 302): resolves ``torch`` and ``torch.x`` to flambeau's."""

    def find_distributions(
        self, context: metadata.DistributionFinder.Context | None = None
    ) -> Iterator[metadata.Distribution]:
        """The package "torch", if that, or every package, is asked for."""
        if context is None or context.name is None or context.name.lower() == "torch":
            yield TorchDistribution()

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of an alias; None for every name that is not torch's."""
        if name != "torch" and not name.startswith("torch."):
            return None
        try:
            self._resolve(name)
        except ModuleNotFoundError as error:
            # ``importlib.util.find_spec`` only asks, and is to be told None; an import is to fail.
            if error.name == name and sys._getframe(2).f_code.co_name == "find_spec":
                return None
            raise
        return ModuleSpec(name, self)

    def create_module(self, spec: ModuleSpec) -> None:
        """Let the import system make an empty module, which ``exec_module`` replaces."""

    def exec_module(self, module: ModuleType) -> None:
        """Put flambeau's module in the place of the empty one, as an import may.

        The modules below it that it has loaded get their second name, too: importing one later
        would put it in the place of a function that has its name, such as multiprocessing.spawn.
        """
        sys.modules[module.__name__] = self._resolve(module.__name__)
        below = ROOT + module.__name__.removeprefix("torch") + "."
        for name, loaded in list(sys.modules.items()):
            if name.startswith(below):
                sys.modules.setdefault("torch" + name.removeprefix(ROOT), loaded)

    def _resolve(self, name: str) -> ModuleType:
        real = ROOT + name.removeprefix("torch")
        try:
            return importlib.import_module(real)
        except ModuleNotFoundError as error:
            if error.name != real:
                raise
        # A module may also be an attribute, made elsewhere: nn.functional, linalg, ...
        parent, _, leaf = real.rpartition(".")
        holder = importlib.import_module(parent)
        found = getattr(holder, leaf, None)
        if isinstance(found, ModuleType):
            return found
        told = advice(parent, leaf, vars(holder))
        raise ModuleNotFoundError(f"No module named {name!r}\n{told}", name=name)


def install() -> None:
    """Make ``import torch`` mean flambeau in this process. A second call does nothing.

    Raises ImportError if PyTorch itself has been imported already.
    """
    present = sys.modules.get("torch")
    if present is not None and present is not sys.modules.get(ROOT):
        raise ImportError(
            "flambeau.compat.install(): 'torch' is already imported, "
            f"from {getattr(present, '__file__', 'elsewhere')}; install the alias before it",
            name="torch",
        )
    if not any(isinstance(finder, TorchFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, TorchFinder())
    # Libraries compare the module's name with "torch", and make names of functions from it.
    importlib.import_module(ROOT).__name__ = "torch"


def uninstall() -> None:
    """Undo ``install()``: later imports of torch look for PyTorch again."""
    sys.meta_path[:] = [f for f in sys.meta_path if not isinstance(f, TorchFinder)]
    importlib.import_module(ROOT).__name__ = ROOT
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "torch" and module.__name__.partition(".")[0] == ROOT:
            del sys.modules[name]


#: Classes whose missing attributes are worth a word, and what PyTorch calls them.
_CLASSES = {
    "Tensor": "Tensor",
    "Generator": "Generator",
    "Size": "Size",
    "dtype": "dtype",
    "device": "device",
    "Module": "nn.Module",
    "Optimizer": "optim.Optimizer",
}


def explain(error: BaseException) -> str | None:
    """Advice on an uncaught error about a name that PyTorch may have, for those that the
    language words: ``tensor.no_such`` and ``from torch import no_such``.

    Returns indented lines, or None if the error is about something else.
    """
    if isinstance(error, AttributeError) and not isinstance(error, MissingName):
        cls = error.obj if isinstance(error.obj, type) else type(error.obj)
        for kind in cls.__mro__:
            owner = _CLASSES.get(kind.__name__)
            ours = owner and kind.__module__.partition(".")[0] == ROOT
            if ours and error.name in torch_names()[f"torch.{owner}"]:
                return advice(f"{ROOT}.{owner}", error.name, dir(cls))
    elif isinstance(error, ImportError):
        found = re.match(r"cannot import name '(\w+)' from '([\w.]+)'", str(error))
        holder = sys.modules.get(found[2]) if found else None
        own_name = getattr(getattr(holder, "__spec__", None), "name", "")  # the alias has another
        if own_name.partition(".")[0] == ROOT:
            return advice(own_name, found[1], dir(holder))
    return None
