"""Where a running program is: the user's line, and the module whose forward is being run."""

from __future__ import annotations

import linecache
import os
import threading
from sys import _getframe
from types import CodeType, FrameType

from ..nn.modules import _global_hooks
from ..nn.modules._place import _path
from ..nn.modules.module import Module

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_own: dict[str, bool] = {}  # whether a file is flambeau's

Line = tuple[CodeType, int]


def user_frame(depth: int = 2) -> FrameType | None:
    """The innermost frame that is not flambeau's, ``depth`` frames up at least.

    Profiles and checks ask for it at every operation.
    """
    frame = _getframe(depth)
    own = _own
    while frame is not None:
        file = frame.f_code.co_filename
        try:
            inside = own[file]
        except KeyError:
            inside = own[file] = file.startswith((_PACKAGE, "<frozen"))
        if not inside:
            return frame
        frame = frame.f_back
    return None


def user_line(depth: int = 3) -> Line | None:
    """The user's line that is being run."""
    frame = user_frame(depth)
    return None if frame is None else (frame.f_code, frame.f_lineno)


def told(line: Line | None) -> str:
    """``train.py:41: logits = model(x)``."""
    if line is None:
        return "(no line of the program)"
    code, number = line
    source = linecache.getline(code.co_filename, number).strip()
    place = f"{os.path.basename(code.co_filename)}:{number}"
    return f"{place}: {source}" if source else place


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
