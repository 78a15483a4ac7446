"""All rules of operations, by name: those of elementwise operations, and what each of the modules
named here adds to them when it is loaded."""

from __future__ import annotations

from . import (
    lowering_attention,
    lowering_convolution,
    lowering_layers,
    lowering_pooling,
    lowering_recurrent,
)
from .lowering_rules import RULES_OF_ARRAYS

MODULES = (
    lowering_layers,
    lowering_attention,
    lowering_convolution,
    lowering_pooling,
    lowering_recurrent,
)
RULES = RULES_OF_ARRAYS
#: Operations of which an operand or result may be without elements.
MAY_BE_EMPTY = {lowering_attention.FORWARD, lowering_attention.BACKWARD}
