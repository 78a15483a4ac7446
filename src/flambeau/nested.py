"""``torch.nested``: there are no nested tensors.

Its names can be imported; calling them raises.
"""

from __future__ import annotations

from ._missing import missing as _missing
from ._refusals import refusing_modules as _refusing_modules

_refusing_modules(
    {
        "torch.nested": "as_nested_tensor narrow nested_tensor "
        "nested_tensor_from_jagged to_padded_tensor",
    },
    "there are no nested tensors: pad them to one length, or use nn.utils.rnn.pack_sequence",
)


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
