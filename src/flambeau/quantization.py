"""``torch.quantization``: there are no quantized tensors.

Its names can be imported; calling them raises.
"""

from __future__ import annotations

from ._missing import missing as _missing
from ._refusals import refusing_modules as _refusing_modules

_NAMES = """
    DeQuantStub FakeQuantize HistogramObserver MinMaxObserver QConfig QConfigMapping QuantStub
    QuantWrapper convert default_dynamic_qconfig default_observer default_qconfig fuse_modules
    fuse_modules_qat get_default_qat_qconfig get_default_qconfig prepare prepare_qat quantize
    quantize_dynamic
"""

_ADVICE = "there are no quantized tensors: use bfloat16 or float16 for smaller weights"

_refusing_modules(
    {
        "torch.quantization": _NAMES,
        "torch.quantization.qconfig": "QConfig default_qconfig",
    },
    _ADVICE,
)


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
