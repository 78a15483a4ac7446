"""``torch.export``: programs are not exported as graphs.

Its names can be imported; calling them raises.
"""

from __future__ import annotations

from ._missing import missing as _missing
from ._refusals import refusing_modules as _refusing_modules

_refusing_modules(
    {
        "torch.export": """
            Dim ExportedProgram ShapesCollection default_decompositions dims export
            export_for_training load register_dataclass save unflatten
        """,
        "torch.export.dynamic_shapes": "Dim",
    },
    "torch.save keeps weights, torch.compile makes a function faster",
)


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
