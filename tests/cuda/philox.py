"""What the kernels of flambeau._devices.random_kernels draw, as dull NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from flambeau._devices import random_kernels as kernels

U32, U64 = np.uint32, np.uint64


def outputs(seed: int, thread: np.ndarray, block: np.ndarray) -> np.ndarray:
    """The four outputs of 32 bits of each (thread, block), uint32 [..., 4]: ten rounds."""
    low = np.array(0xFFFFFFFF, U64)
    half = np.array(32, U64)
    x, y, z, w = block & low, block >> half, thread & low, thread >> half
    k, v = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        first = np.array(0xD2511F53, U64) * x
        second = np.array(0xCD9E8D57, U64) * z
        x, y, z, w = (
            (second >> half) ^ y ^ U64(k), second & low, (first >> half) ^ w ^ U64(v), first & low,
        )  # fmt: skip
        k, v = (k + 0x9E3779B9) & 0xFFFFFFFF, (v + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack([x, y, z, w], -1).astype(U32)


def places(count: int, side: int, blocks: int, each: int) -> tuple[np.ndarray, ...]:
    """Which thread draws each element, of which of its blocks, and which of the block."""
    at, threads = np.arange(count, dtype=np.int64), blocks * kernels.THREADS
    if side == 1:
        turn, rest = at // (threads * each), at % (threads * each)
        return rest % threads, turn, rest // threads
    group, within = at // side, at % side
    thread, turn = group % threads, group // threads
    if side == 2:
        return thread, turn // 2, turn % 2 * 2 + within
    return thread, turn * (side // 4) + within // 4, within % 4


def _unit64(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    bits = x.astype(U64) ^ (y.astype(U64) << np.array(21, U64))
    return bits * 2.0**-53 + 2.0**-54


def _unit32(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float32) * np.float32(2.0**-32) + np.float32(2.0**-33)


def _elements(source: str, double: bool, words: np.ndarray) -> np.ndarray:
    """What the elements of each block are made of."""
    a, b, c, d = np.moveaxis(words, -1, 0)
    if source == "bits":
        return words
    if source == "wide":
        half = np.array(32, U64)
        return np.stack([a.astype(U64) << half | b, c.astype(U64) << half | d], -1)
    if source == "uniform":
        return np.stack([_unit64(a, b), _unit64(c, d)], -1) if double else _unit32(words)
    if double:
        pairs = [(np.pi * (2 * _unit64(c, d)), _unit64(a, b))]
    else:
        unit = 2.0**-32
        pairs = [
            ((y.astype(np.float32) * unit + unit / 2) * 2 * np.pi, _unit32(x))
            for x, y in ((a, b), (c, d))
        ]
    made = []
    for angle, u in pairs:
        radius = np.sqrt(-2 * np.log(u))
        made += [np.sin(angle) * radius, np.cos(angle) * radius]
    return np.stack(made, -1).astype(np.float64 if double else np.float32)


def draw(
    recipe: str,
    dtype: np.dtype,
    count: int,
    side: int,
    blocks: int,
    seed: int,
    first: int,
    parameters: Sequence[Any],
) -> np.ndarray:
    """See flambeau._devices.services.Services.random; bfloat16 as such."""
    source = kernels.RECIPES[recipe].source
    double = dtype == np.float64 and recipe != "dropout"
    each = kernels.per_block(recipe, dtype)
    thread, block, within = places(count, side, blocks, each)
    words = outputs(seed, thread.astype(U64), block.astype(U64) + U64(first))
    x = np.take_along_axis(_elements(source, double, words), within[:, None], -1)[:, 0]
    a, b, c = parameters
    epsilon = np.finfo(np.float64 if double else np.float32).eps
    if recipe == "every64":
        return x.view(np.int64).astype(dtype)
    if recipe in ("integer", "integer64"):
        return ((x % a if recipe == "integer64" else x % U32(a)) + b).view(np.int64).astype(dtype)
    if recipe == "uniform":
        made = (x.astype(np.float64) * a + b).astype(type(a)).astype(dtype)
        return np.where(made.astype(type(a)) == c, type(a)(b), made.astype(type(a))).astype(dtype)
    if recipe in ("normal", "log_normal"):
        made = (x.astype(np.float64) * a + b).astype(type(a))
        return (np.exp(made) if recipe == "log_normal" else made).astype(dtype)
    if recipe == "exponential":
        logs = np.where(x >= 1 - epsilon / 2, -epsilon / 2, np.log(x))
        return (a * logs).astype(dtype)
    if recipe == "geometric":
        return np.ceil(np.log(x) / np.log1p(-a)).astype(dtype)
    if recipe == "cauchy":
        x = x if double else np.clip(x, epsilon, 1 - epsilon)
        return (b + a * np.tan(np.pi * (x.astype(np.float64) - 0.5))).astype(dtype)
    if recipe == "bernoulli":
        return (x < a).astype(dtype)
    return np.where(x < a, b, type(b)(0)).astype(dtype)  # dropout
