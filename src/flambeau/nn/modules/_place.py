"""Where in a model an error happened: ``in Net.blocks[0].2 (Linear 9->2), train.py:41: ...``.

Nothing is kept while all goes well. When an exception passes through ``Module.__call__``, each
module on its way out adds itself, and the note on the exception grows into the full path.
"""

from __future__ import annotations

import linecache
import os
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .module import Module

_PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def note_module(error: BaseException, module: Module) -> None:
    """Add ``module`` at the front of the path that the note of ``error`` tells."""
    chain = getattr(error, "_modules", None)
    if chain is None:
        chain = []
        try:
            error._modules = chain
        except AttributeError:
            return
    elif chain[0] is module:
        return
    chain.insert(0, module)
    notes = getattr(error, "__notes__", [])
    old = getattr(error, "_modules_note", None)
    if old in notes:
        notes.remove(old)
    error._modules_note = f"  in {_path(chain)}{_line(error)}"
    error.add_note(error._modules_note)


def _path(chain: list[Module]) -> str:
    text = type(chain[0]).__name__
    for parent, child in zip(chain, chain[1:]):
        name = next((n for n, m in parent.named_modules() if m is child), None)
        if name is None:
            text += f" > {type(child).__name__}"
            continue
        for part in name.split("."):
            is_list = type(parent).__name__ == "ModuleList"
            text += f"[{part}]" if is_list else f".{part}"
            parent = parent._modules[part]
    last = chain[-1]
    return f"{text} ({_brief(last)})" if len(chain) > 1 or _sizes(last) else text


def _brief(module: Module) -> str:
    sizes = _sizes(module)
    return f"{type(module).__name__} {sizes}" if sizes else type(module).__name__


def _sizes(module: Module) -> str:
    pairs = (("in_features", "out_features"), ("in_channels", "out_channels"),
             ("num_embeddings", "embedding_dim"), ("input_size", "hidden_size"))  # fmt: skip
    for first, second in pairs:
        a, b = module.__dict__.get(first), module.__dict__.get(second)
        if a is not None and b is not None:
            return f"{a}->{b}"
    return ""


def _line(error: BaseException) -> str:
    """The innermost line of the user's own code that the exception passed."""
    found = None
    for frame, number in traceback.walk_tb(error.__traceback__):
        name = frame.f_code.co_filename
        if not name.startswith(_PACKAGE) and not name.startswith("<frozen"):
            found = (name, number)
    if found is None:
        frame = error.__traceback__.tb_frame.f_back
        while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
            frame = frame.f_back
        if frame is None:
            return ""
        found = (frame.f_code.co_filename, frame.f_lineno)
    source = linecache.getline(*found).strip()
    return f", {os.path.basename(found[0])}:{found[1]}" + (f": {source}" if source else "")
