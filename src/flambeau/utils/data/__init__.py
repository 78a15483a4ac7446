"""Loading data: datasets, samplers, and the DataLoader, which makes batches of them.

Source: https://docs.pytorch.org/docs/stable/data.html
"""

from __future__ import annotations

from ..._missing import missing as _missing
from . import dataloader, datapipes, dataset, distributed, sampler
from .dataloader import DataLoader, _DatasetKind, default_collate, default_convert, get_worker_info
from .datapipes._pipe import DataChunk, IterDataPipe, MapDataPipe, functional_datapipe
from .dataset import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)
from .distributed import DistributedSampler
from .sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
