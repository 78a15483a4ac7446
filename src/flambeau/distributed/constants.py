"""Times after which a collective is given up."""

from __future__ import annotations

from .._missing import missing as _missing
from ._group import default_pg_timeout

#: NCCL's, which is not there.
default_pg_nccl_timeout = None

__all__ = ["default_pg_nccl_timeout", "default_pg_timeout"]


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
