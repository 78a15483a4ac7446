"""Names that are loaded when first asked for: the tables are true, and every name is there."""

from __future__ import annotations

import importlib
import subprocess
import sys

import flambeau
from flambeau.tensor import _further, _tensor


def test_the_root_finds_every_name_where_the_table_says() -> None:
    for name, module in flambeau._FUNCTIONS_ON_DEMAND.items():
        found = getattr(importlib.import_module(f"flambeau.{module}"), name)
        assert getattr(flambeau, name) is found, name


def test_the_root_has_every_name_of_the_modules_in_the_table() -> None:
    for module in set(flambeau._FUNCTIONS_ON_DEMAND.values()):
        if module.startswith(("functions.", "ops.")):
            for name in getattr(importlib.import_module(f"flambeau.{module}"), "__all__", ()):
                if name in flambeau._FUNCTIONS_ON_DEMAND:
                    # where the root's arguments are in another order, it has a form of its own
                    here = flambeau._FUNCTIONS_ON_DEMAND[name]
                    assert here in (module, "nn._root_forms"), name


def test_the_further_methods_are_the_names_that_tensor_holds_places_for() -> None:
    classes = _further.FurtherMethods.__mro__[:-1]
    methods = {n for c in classes for n in vars(c) if not n.startswith("__")}
    assert methods == set(_tensor.NAMES.split())


def test_a_further_method_works_at_once_on_class_and_instance() -> None:
    code = (
        "import flambeau as t; x = t.ones(3); print(x.cumsum(0).tolist(), "
        "t.Tensor.cumsum is type(x).cumsum, x.cumsum(0).var().item())"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split("\n")[0] == "[1.0, 2.0, 3.0] True 1.0"


def test_every_public_package_loads() -> None:
    for name in flambeau._ON_DEMAND:
        assert getattr(flambeau, name).__name__ == f"flambeau.{name}"
