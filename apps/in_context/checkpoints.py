"""Checkpoints: written whole or not at all, and enough to go on as if nothing had happened."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

STATE = "state.pt"


class BadRun(ValueError):
    """A run's folder that cannot be used; the message says why and what to do."""


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Have `write` fill a file beside `path`, then put it in its place in one step.

    Whatever happens on the way, `path` holds either the old content or the new one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The end of the name is kept: Matplotlib takes a picture's format from it.
    unfinished = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        write(unfinished)
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def generator_states(data: torch.Generator) -> dict[str, Any]:
    """Every generator that a run could touch, as tensors and plain numbers."""
    version, words, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state()
    states = {
        "data": data.get_state(),
        "torch": torch.get_rng_state(),
        "python": [version, list(words), gauss],
        "numpy": [name, torch.from_numpy(keys.astype(np.int64)), position, has_gauss, cached],
    }
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state_all()
    return states


def set_generator_states(states: Mapping[str, Any], data: torch.Generator) -> None:
    """The inverse of `generator_states`."""
    data.set_state(states["data"])
    torch.set_rng_state(states["torch"])
    version, words, gauss = states["python"]
    random.setstate((version, tuple(words), gauss))
    name, keys, *rest = states["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(states["cuda"])


def read(path: Path) -> dict[str, Any]:
    """A checkpoint, with its tensors on the CPU; runs no code from the file.

    Raises:
        BadRun: there is none, or it cannot be read.
    """
    if not path.is_file():
        raise BadRun(f"no checkpoint at {path}: has this run been trained?")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadRun(f"{path} is not a checkpoint that can be read: {reason}") from error


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Save a checkpoint whole."""
    write_whole(path, lambda unfinished: torch.save(dict(content), unfinished))


def digest(state: Mapping[str, Tensor]) -> str:
    """A fingerprint of a state_dict: of its names, shapes and bytes."""
    content = hashlib.sha256()
    for name, value in sorted(state.items()):
        content.update(f"{name} {tuple(value.shape)} {value.dtype}\n".encode())
        content.update(value.detach().cpu().contiguous().numpy().tobytes())
    return content.hexdigest()
