"""``torch.library``: operators cannot be registered by name.

Its names can be imported; calling them raises.
"""

from __future__ import annotations

from ._missing import missing as _missing
from ._refusals import refusing_modules as _refusing_modules

_refusing_modules(
    {
        "torch.library": """
            Library custom_op define get_ctx impl opcheck register_autograd register_fake
            register_kernel register_vmap triton_op wrap_triton
        """,
    },
    "make it a plain function, or torch.autograd.Function where it has a gradient of its own",
)


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
