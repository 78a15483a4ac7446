"""``torch`` for the child processes of ``flambeau run``, which find this folder on PYTHONPATH.

A spawned worker or ``subprocess.run([sys.executable, ...])`` starts a new interpreter, where
nothing is installed yet. This file installs the alias and steps aside.
"""

from __future__ import annotations

import sys

import flambeau
from flambeau import compat

del sys.modules[__name__]  # what install() finds under this name must not be this file
compat.install()
sys.modules[__name__] = flambeau
