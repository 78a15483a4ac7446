"""Optional dependencies: which there are, which extra brings each, and the one way to import them.

A module that needs one has one function that calls ``require``; nothing else in flambeau imports
an optional package, so that ``import flambeau`` never pays for one.
"""

from __future__ import annotations

import importlib
from types import ModuleType

#: Importable package -> (extra of pyproject.toml, name on PyPI).
OPTIONAL: dict[str, tuple[str, str]] = {
    "llvmlite": ("compile", "llvmlite"),
    "cupy": ("cuda", "cupy-cuda13x"),
    "cupyx": ("cuda", "cupy-cuda13x"),
    "mpi4py": ("distributed", "mpi4py"),
    "nccl": ("distributed", "nccl4py"),
    "scipy": ("scientific", "scipy"),
    "matplotlib": ("viz", "matplotlib"),
    "onnx": ("export", "onnx"),
    "tensorboardX": ("tensorboard", "tensorboardX"),
    "names": ("names", "names"),
    "safetensors": ("safetensors", "safetensors"),
}


def require(module: str, purpose: str) -> ModuleType:
    """The optional ``module`` ("scipy.special"), or an ImportError with the pip command to run.

    ``purpose`` is what the user asked for, as the message names it: "torch.special.bessel_j0".
    A package that is there but broken raises its own error.
    """
    package = next((p for p in OPTIONAL if f"{module}.".startswith(f"{p}.")), None)
    if package is None:
        raise LookupError(f"{module} is no optional dependency; those are {', '.join(OPTIONAL)}")
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if not f"{package}.".startswith(f"{error.name}."):
            raise
        extra, wheel = OPTIONAL[package]
        raise ModuleNotFoundError(
            f"{purpose} needs {wheel}, which is not installed: pip install 'flambeau[{extra}]'",
            name=package,
        ) from None


def installed(package: str) -> bool:
    """Whether the optional ``package`` can be imported; it is."""
    try:
        require(package, package)
    except ModuleNotFoundError:
        return False
    return True
