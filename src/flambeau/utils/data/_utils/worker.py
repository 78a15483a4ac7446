"""What a worker knows of itself."""

from __future__ import annotations

import threading
from dataclasses import dataclass


@dataclass
class WorkerInfo:
    """``get_worker_info()`` of a worker: its number, how many there are, its seed and dataset."""

    id: int
    num_workers: int
    seed: int
    dataset: object


class _Place(threading.local):
    info: WorkerInfo | None = None


place = _Place()


def get_worker_info() -> WorkerInfo | None:
    """In a worker: its ``id``, ``num_workers``, ``seed`` and its own ``dataset``; else None."""
    return place.info
