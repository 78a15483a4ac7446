"""``torch.onnx``: writing ONNX files is not there yet.

Source: https://docs.pytorch.org/docs/stable/onnx.html
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, IntEnum
from typing import Any, NoReturn

from ._missing import missing as _missing
from ._refusals import refusing_modules as _refusing_modules


class TrainingMode(Enum):
    """Whether a model is exported as it trains."""

    EVAL = 0
    PRESERVE = 1
    TRAINING = 2


class OperatorExportTypes(Enum):
    """What becomes of operations that ONNX has not."""

    ONNX = 0
    ONNX_ATEN = 2
    ONNX_ATEN_FALLBACK = 3
    ONNX_FALLTHROUGH = 1


class TensorProtoDataType(IntEnum):
    """ONNX's numbers of the kinds of elements."""

    UNDEFINED = 0
    FLOAT = 1
    UINT8 = 2
    INT8 = 3
    UINT16 = 4
    INT16 = 5
    INT32 = 6
    INT64 = 7
    STRING = 8
    BOOL = 9
    FLOAT16 = 10
    DOUBLE = 11
    UINT32 = 12
    UINT64 = 13
    COMPLEX64 = 14
    COMPLEX128 = 15
    BFLOAT16 = 16


def register_custom_op_symbolic(
    symbolic_name: str, symbolic_fn: Any, opset_version: int, custom_opset: Any = None
) -> None:
    """Accepted: nothing is exported that could ask for it."""


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


def unregister_custom_op_symbolic(symbolic_name: str, opset_version: int) -> None:
    """Accepted: undoes ``register_custom_op_symbolic``."""


def _same(*described: Any) -> Callable[[Callable], Callable]:
    """Decorator ``parse_args("v", "i")``: the function, as ONNX's rules are not called."""
    return lambda function: function


_refusing_modules(
    {
        "torch.onnx.symbolic_helper": "",
        **{f"torch.onnx.symbolic_opset{n}": "" for n in range(9, 21)},
        "torch.onnx.operators": "shape_as_tensor reshape_from_tensor_shape",
    },
    "flambeau does not write ONNX files yet",
)
symbolic_helper.parse_args = symbolic_helper.quantized_args = _same  # noqa: F821

__all__ = [
    "OperatorExportTypes", "TensorProtoDataType", "TrainingMode", "dynamo_export", "export",
    "is_in_onnx_export", "register_custom_op_symbolic", "unregister_custom_op_symbolic",
]  # fmt: skip


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
