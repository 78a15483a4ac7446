"""All rules of operations, by name: those of elementwise operations, and what each of the modules
named here adds to them when it is loaded."""

from __future__ import annotations

from . import lowering_convolution, lowering_layers, lowering_recurrent
from .lowering_rules import RULES_OF_ARRAYS

MODULES = (lowering_layers, lowering_convolution, lowering_recurrent)
RULES = RULES_OF_ARRAYS
MAY_BE_EMPTY = lowering_layers.MAY_BE_EMPTY
