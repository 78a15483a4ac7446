"""``torch.utils.tensorboard``: ``SummaryWriter``, through the package tensorboardX.

Source: https://docs.pytorch.org/docs/stable/tensorboard.html
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from ..._missing import missing as _missing
from ..._optional import require
from ...core.value import Value
from ...nn.modules.module import Module


def _package() -> ModuleType:
    """tensorboardX."""
    return require("tensorboardX", "torch.utils.tensorboard")


def _plain(value: Any) -> Any:
    """``value`` with every tensor in it as a NumPy array (16-bit floats as float32)."""
    if isinstance(value, Value):
        array = value.detach()._array
        if array.ndim == 0:
            return array.item()
        return (
            array.astype(np.float32) if array.dtype.kind in "Vf" and array.itemsize < 4 else array
        )
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)([_plain(v) for v in value])
    return value


class SummaryWriter:
    """Writes events for TensorBoard into a file in ``log_dir`` (default: ``runs/DATE_HOST``).

    Methods are those of tensorboardX: ``add_scalar(tag, value, step)``, ``add_scalars``,
    ``add_histogram``, ``add_image(s)``, ``add_figure``, ``add_text``, ``add_embedding``,
    ``add_hparams``, ``flush``, ``close`` ...; tensors may be given for arrays and numbers.
    ``add_graph`` needs a traced model, which there is not: NotImplementedError.
    """

    def __init__(
        self,
        log_dir: str | None = None,
        comment: str = "",
        purge_step: int | None = None,
        max_queue: int = 10,
        flush_secs: int = 120,
        filename_suffix: str = "",
    ) -> None:
        self._writer = _package().SummaryWriter(
            None if log_dir is None else str(log_dir),
            comment,
            purge_step,
            max_queue,
            flush_secs,
            filename_suffix,
        )
        self.log_dir = self._writer.logdir

    def get_logdir(self) -> str:
        """The folder that is written to."""
        return self.log_dir

    def add_graph(self, model: Module, input_to_model: Any = None, *args: Any) -> None:
        """Refused: NotImplementedError."""
        raise NotImplementedError(
            "SummaryWriter.add_graph is not supported: it draws a TorchScript graph, which "
            "flambeau has not"
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        method = getattr(self._writer, name)
        if not callable(method):
            return method

        def call(*args: Any, **kwargs: Any) -> Any:
            return method(*_plain(args), **_plain(kwargs))

        call.__name__ = name
        return call

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self._writer.close()


class FileWriter:
    """Writes protocol-buffer events for TensorBoard: ``SummaryWriter`` without its methods."""

    def __init__(
        self, log_dir: str, max_queue: int = 10, flush_secs: int = 120, filename_suffix: str = ""
    ) -> None:
        self._writer = _package().FileWriter(str(log_dir), max_queue, flush_secs, filename_suffix)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._writer, name)


__all__ = ["FileWriter", "SummaryWriter"]


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
