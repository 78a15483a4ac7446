"""``torch.onnx``: writing ONNX files is not there yet.

Source: https://docs.pytorch.org/docs/stable/onnx.html
"""

from __future__ import annotations

from typing import Any, NoReturn

from ._missing import missing as _missing


def export(model: Any, *args: Any, **kwargs: Any) -> NoReturn:
    """Refused: NotImplementedError."""
    raise NotImplementedError(
        "torch.onnx.export is not supported: flambeau has no rules yet that write its operations "
        "as ONNX nodes\n  save model.state_dict() with torch.save and export it with PyTorch: "
        "both libraries read the same files"
    )


def dynamo_export(model: Any, *args: Any, **kwargs: Any) -> NoReturn:
    """Refused: NotImplementedError."""
    export(model)


def is_in_onnx_export() -> bool:
    """Whether a model is being exported: never."""
    return False


__all__ = ["dynamo_export", "export", "is_in_onnx_export"]


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
