"""``torch._dynamo.utils``: PyTorch's counters of traced frames, all of them zero."""

from __future__ import annotations

import collections

counters: collections.defaultdict = collections.defaultdict(collections.Counter)
