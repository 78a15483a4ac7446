#!/usr/bin/env python3
"""Write src/flambeau/torch_names.txt: PyTorch's public names, for messages about missing ones.

Run it with the PyTorch that flambeau follows:

    python .ci/torch_names.py > src/flambeau/torch_names.txt

One line for each module or class: its name, a colon, what it holds. Modules that are only listed
as existing have nothing after the colon.
"""

from __future__ import annotations

import importlib
import pkgutil
import types
import warnings

import torch

ROOTS = """torch nn nn.functional nn.init nn.utils nn.utils.rnn nn.utils.parametrizations
    nn.utils.parametrize nn.utils.prune nn.utils.stateless nn.attention
    nn.attention.flex_attention nn.parallel nn.parameter optim optim.lr_scheduler optim.swa_utils
    autograd autograd.functional autograd.forward_ad autograd.graph autograd.profiler utils
    utils.data utils.data.distributed utils.checkpoint utils.benchmark utils.dlpack
    utils.cpp_extension utils.flop_counter utils.hooks utils._pytree linalg fft special
    distributions distributions.constraints distributions.kl distributions.transforms func amp
    cuda cuda.amp cuda.nvtx cpu cpu.amp mps accelerator backends backends.cuda backends.cudnn
    backends.mps backends.mkl backends.mkldnn backends.openmp backends.opt_einsum backends.cpu
    distributed distributed.nn distributed.tensor distributed.tensor.parallel distributed.fsdp
    distributed.checkpoint distributed.checkpoint.state_dict distributed.device_mesh
    multiprocessing jit fx export onnx compiler profiler hub random sparse masked nested overrides
    library futures signal signal.windows serialization storage testing types torch_version
    functional return_types""".split()
CLASSES = ["Tensor", "Generator", "Size", "dtype", "device", "nn.Module", "optim.Optimizer"]
HELPERS = {"typing", "typing_extensions", "collections", "contextlib", "functools", "enum", "abc"}


def public(module: types.ModuleType) -> list[str]:
    """Names a user may use: ``__all__`` and submodules; without one, what PyTorch itself made."""
    listed = getattr(module, "__all__", None)
    names = set(listed or ())
    for name, value in vars(module).items():
        if name.startswith("_"):
            continue
        if isinstance(value, types.ModuleType):
            if value.__name__.startswith("torch"):
                names.add(name)
        elif listed is None or module is torch:
            if (getattr(value, "__module__", None) or "").split(".")[0] not in HELPERS:
                names.add(name)
    return sorted(name for name in names if name.isidentifier())


def main() -> None:
    warnings.simplefilter("ignore")
    lines = {}
    for found in pkgutil.walk_packages(torch.__path__, "torch.", onerror=lambda name: None):
        private = any(part.startswith("_") for part in found.name.split("."))
        if not private and found.name.count(".") <= 2:
            lines[found.name] = []
    for root in ROOTS:
        name = "torch" if root == "torch" else f"torch.{root}"
        lines[name] = public(importlib.import_module(name))
    for name in CLASSES:
        holder, _, leaf = f"torch.{name}".rpartition(".")
        cls = getattr(importlib.import_module(holder), leaf)
        lines[f"torch.{name}"] = [n for n in dir(cls) if not n.startswith("_")]
    for name, names in sorted(lines.items()):
        print(f"{name}: {' '.join(names)}".rstrip())


if __name__ == "__main__":
    main()
