"""Training steps on a GPU, under PyTorch eager and under flambeau, eager and compiled.

    python -m benchmarks.gpu                            where one environment holds both libraries
    python -m benchmarks.gpu --torch-python PYTHON      where PyTorch has one of its own

Each library runs in a process of its own, with the same seed and data; the losses of the first
steps are printed beside the times. ``--device cpu`` tries the program where there is no GPU.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

#: name -> width, heads, layers, length, batch
GPT = {"GPT 4 x 128": (128, 4, 4, 64, 12), "GPT 12 x 256": (256, 8, 12, 82, 64)}
VOCABULARY = 65


def gpt_step(torch: Any, device: str, sizes: tuple[int, ...]) -> Callable[..., Any]:
    """A training step of a transformer: loss, gradients, clipping, AdamW."""
    width, heads, layers, length, _ = sizes
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.mlp = nn.Sequential(
                nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
            )

        def forward(self, x: Any) -> Any:
            batch, time, _ = x.shape
            parts = self.qkv(self.norm1(x)).split(width, -1)
            q, k, v = (t.view(batch, time, heads, -1).transpose(1, 2) for t in parts)
            y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(y.transpose(1, 2).reshape(batch, time, width))
            return x + self.mlp(self.norm2(x))

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token, self.place = nn.Embedding(VOCABULARY, width), nn.Embedding(length, width)
            self.blocks = nn.Sequential(*[Block() for _ in range(layers)])
            self.head = nn.Linear(width, VOCABULARY)

        def forward(self, index: Any) -> Any:
            places = torch.arange(index.shape[1], device=index.device)
            return self.head(self.blocks(self.token(index) + self.place(places)))

    torch.manual_seed(0)
    model = Model().to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step(index: Any, target: Any) -> Any:
        scores = model(index).reshape(-1, VOCABULARY)
        loss = nn.functional.cross_entropy(scores, target.reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    return step


def measured(torch: Any, device: str, sizes: tuple[int, ...], compiled: bool) -> dict[str, Any]:
    """Losses of the first four steps, seconds they took, and milliseconds of a later one."""
    step = gpt_step(torch, device, sizes)
    if compiled:
        step = torch.compile(step)
    _, _, _, length, batch = sizes
    rng = np.random.default_rng(0)
    text = [rng.integers(0, VOCABULARY, (batch, length + 1)) for _ in range(4)]
    pairs = [(torch.tensor(t[:, :-1]).to(device), torch.tensor(t[:, 1:]).to(device)) for t in text]
    start = time.perf_counter()
    losses = [step(*pair).item() for pair in pairs]
    first = time.perf_counter() - start
    times = []
    for _ in range(3):
        start = time.perf_counter()
        for _ in range(20):
            loss = step(*pairs[0])
        loss.item()  # waits for the GPU
        times.append((time.perf_counter() - start) / 20 * 1e3)
    return {"losses": losses, "first": first, "ms": min(times)}


def child(library: str, device: str) -> None:
    """Print what one library does, a line of JSON for each model."""
    module = importlib.import_module(library)
    for name, sizes in GPT.items():
        for compiled in (False, True) if library == "flambeau" else (False,):
            found = measured(module, device, sizes, compiled)
            print(json.dumps({"name": name, "compiled": compiled, **found}), flush=True)


def main() -> None:
    """Run both libraries and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--torch-python", default=sys.executable)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--library", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.library:
        child(options.library, options.device)
        return
    found = {}
    for library, python in (("torch", options.torch_python), ("flambeau", sys.executable)):
        command = [python, "-m", "benchmarks.gpu", "--library", library, "--device", options.device]
        run = subprocess.run(command, env=os.environ, stdout=subprocess.PIPE, text=True, check=True)
        for line in run.stdout.splitlines():
            row = json.loads(line)
            found[row["name"], library, row["compiled"]] = row
    print(f"{'step':14} {'library':20} {'ms':>8} {'ratio':>6} {'first 4':>8}  losses")
    for (name, library, compiled), row in sorted(found.items()):
        ratio = row["ms"] / found[name, "torch", False]["ms"]
        label = f"{library} {'compiled' if compiled else 'eager'}"
        losses = " ".join(f"{x:.5f}" for x in row["losses"])
        print(f"{name:14} {label:20} {row['ms']:8.2f} {ratio:6.2f} {row['first']:7.1f}s  {losses}")


if __name__ == "__main__":
    main()
