"""`python -m apps.in_context`, or `flambeau run -m apps.in_context`."""

from __future__ import annotations

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
