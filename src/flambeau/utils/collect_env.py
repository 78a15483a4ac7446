"""``torch.utils.collect_env``: what a bug report should hold. ``python -m
flambeau.utils.collect_env`` prints it."""

from __future__ import annotations

import platform
import sys
from typing import NamedTuple

from .. import _doctor, version
from ..tensor._device import Elsewhere


class SystemEnv(NamedTuple):
    """What ``get_env_info`` returns, by PyTorch's names; what there is not is "N/A"."""

    torch_version: str
    is_debug_build: str
    cuda_compiled_version: str
    os: str
    python_version: str
    python_platform: str
    is_cuda_available: str
    nvidia_gpu_models: str | None
    cpu_info: str


def get_env_info() -> SystemEnv:
    """The versions and the machine."""
    return SystemEnv(
        torch_version=str(version.__version__),
        is_debug_build="False",
        cuda_compiled_version="N/A",
        os=platform.platform(),
        python_version=sys.version.replace("\n", " "),
        python_platform=platform.platform(),
        is_cuda_available=str(Elsewhere.has_cuda()),
        nvidia_gpu_models=_doctor.gpu() if Elsewhere.has_cuda() else None,
        cpu_info=_doctor._processor(),
    )


def get_pretty_env_info() -> str:
    """What ``flambeau doctor`` prints, as text."""
    return _doctor.report()


pretty_str = get_pretty_env_info


def main() -> None:
    """Print it."""
    print("Collecting environment information...")
    print(get_pretty_env_info())


if __name__ == "__main__":
    main()
