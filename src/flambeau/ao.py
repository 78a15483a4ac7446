"""``torch.ao``: the newer home of quantization.

Its names can be imported; calling them raises.
"""

from __future__ import annotations

from ._missing import missing as _missing
from ._refusals import refusing_modules as _refusing_modules
from .quantization import _ADVICE, _NAMES

_refusing_modules(
    {
        "torch.ao": "",
        "torch.ao.nn": "",
        "torch.ao.nn.quantized": "Conv2d FloatFunctional Linear",
        "torch.ao.quantization": _NAMES,
        "torch.ao.quantization.quantize_fx": "convert_fx prepare_fx prepare_qat_fx",
    },
    _ADVICE,
)


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
