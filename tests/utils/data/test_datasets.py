"""Datasets, samplers and the plain loader against PyTorch's answers."""

from __future__ import annotations

import flambeau as torch
from flambeau.utils.data import DataLoader, RandomSampler, TensorDataset


def test_a_shuffled_loader_gives_pytorch_batches() -> None:
    torch.manual_seed(42)
    loader = DataLoader(TensorDataset(torch.arange(20)), batch_size=6, shuffle=True)
    batches = [batch[0].tolist() for batch in loader]
    assert batches == GOLDEN_BATCHES
    assert torch.randint(0, 1000, (3,)).tolist() == GOLDEN_AFTER


def test_rounds_without_replacement() -> None:
    torch.manual_seed(0)
    assert list(RandomSampler(range(3), num_samples=7)) == GOLDEN_ROUNDS


GOLDEN_BATCHES = [[8, 14, 17, 19, 1, 15], [18, 9, 3, 11, 4, 0], [10, 7, 13, 16, 12, 6], [2, 5]]
GOLDEN_AFTER = [26, 335, 620]
GOLDEN_ROUNDS = [0, 1, 2, 2, 0, 1, 0]
