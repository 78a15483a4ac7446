"""Which module's forward is being run."""

from __future__ import annotations

import threading

from ..nn.modules import _global_hooks
from ..nn.modules._place import _path
from ..nn.modules.module import Module


class ModuleStack:
    """Which module's forward is being run in the thread that entered this.

    ``chain`` is the tuple of modules from the outermost to the innermost.
    """

    def __init__(self) -> None:
        self.chain: tuple[Module, ...] = ()

    def __enter__(self) -> ModuleStack:
        self._thread = threading.get_ident()
        _global_hooks.watchers.append(self)
        return self

    def __exit__(self, *error: object) -> None:
        _global_hooks.watchers.remove(self)
        self.chain = ()

    def begin(self, module: Module) -> None:
        """A module is called."""
        if threading.get_ident() == self._thread:
            self.chain = (*self.chain, module)
            self.entered(module)

    def end(self, module: Module) -> None:
        """Its call is over, by an error or not."""
        if threading.get_ident() == self._thread:
            self.chain = self.chain[:-1]

    def entered(self, module: Module) -> None:
        """``module`` has been put on the stack."""


def module_path(chain: tuple[Module, ...]) -> str:
    """``Net.blocks[0].2 (Linear 9->2)``."""
    return _path(list(chain)) if chain else "(no module)"
