"""``torchrun``: start the processes of a run on this machine, and end them together.

    flambeau run -m torch.distributed.run --nproc-per-node 2 train.py --epochs 3

Each runs the program as ``flambeau run`` does, and finds RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR
and MASTER_PORT in its environment. Over several machines, give each ``--nnodes``, its
``--node-rank``, and the ``--master-addr`` and ``--master-port`` of the first. When one process
fails, the others are ended, and the exit status is 1.

Source: https://docs.pytorch.org/docs/stable/elastic/run.html
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

from .._settings import get_num_threads

_GRACE = 3.0  # seconds in which the others may find out themselves what has happened


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="torchrun", description=__doc__.split("\n\n", 1)[0])
    add = parser.add_argument
    add("--nproc-per-node", "--nproc_per_node", default="1", help="processes; gpu and cpu: one")
    add("--nnodes", type=int, default=1, help="machines")
    add("--node-rank", "--node_rank", type=int, default=0, help="which of them this is")
    add("--master-addr", "--master_addr", default="127.0.0.1", help="the first machine")
    add("--master-port", "--master_port", type=int, default=0, help="a port of it; any free one")
    add("--standalone", action="store_true", help="one machine, which is the default")
    add("-m", "--module", action="store_true", help="the program is a module, as python -m")
    add("program")
    add("arguments", nargs=argparse.REMAINDER)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status."""
    options = _parser().parse_args(argv)
    number = options.nproc_per_node
    if number in ("auto", "cpu", "gpu"):
        number = "1"
    if not number.isdigit() or int(number) < 1:
        raise ValueError(f"Unsupported nproc_per_node value: {number}")
    if options.nnodes > 1 and not options.master_port:
        print("torchrun: several machines need --master-addr and --master-port", file=sys.stderr)
        return 2
    port = options.master_port or _free_port()
    count = int(number)
    children = []
    for local in range(count):
        rank = options.node_rank * count + local
        environment = {
            "RANK": rank,
            "LOCAL_RANK": local,
            "GROUP_RANK": options.node_rank,
            "WORLD_SIZE": options.nnodes * count,
            "LOCAL_WORLD_SIZE": count,
            "MASTER_ADDR": options.master_addr,
            "MASTER_PORT": port,
            "TORCHELASTIC_RUN_ID": "none",
            "OMP_NUM_THREADS": os.environ.get(
                "OMP_NUM_THREADS", max(1, get_num_threads() // count)
            ),
        }
        command = [sys.executable, "-m", "flambeau", "run", *(["-m"] if options.module else [])]
        child = subprocess.Popen(
            [*command, options.program, *options.arguments],
            env={**os.environ, **{k: str(v) for k, v in environment.items()}},
        )
        children.append((rank, child))
    return _watch(children)


def _watch(children: Sequence[tuple[int, subprocess.Popen]]) -> int:
    """Wait for all; when one fails, end the others."""
    try:
        while True:
            codes = {rank: child.poll() for rank, child in children}
            failed = {rank: code for rank, code in codes.items() if code}
            if failed or None not in codes.values():
                break
            time.sleep(0.05)
        end = time.monotonic() + _GRACE
        while any(c.poll() is None for _, c in children) and time.monotonic() < end:
            time.sleep(0.05)
    except KeyboardInterrupt:
        failed = {}
        for _, child in children:
            child.send_signal(signal.SIGINT)
            child.wait()
        return 130
    finally:
        for _, child in children:
            if child.poll() is None:
                child.kill()
                child.wait()
    for rank, code in failed.items():
        how = f"was ended by signal {-code}" if code < 0 else f"failed with exit status {code}"
        print(f"torchrun: rank {rank} {how}; the others were ended", file=sys.stderr)
    return 1 if failed else 0


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


if __name__ == "__main__":
    sys.exit(main())
