"""Adding rows into a table at places that may repeat: the gradient of indexing."""

from __future__ import annotations

import numpy as np

ndarray = np.ndarray
REDUCED = 2  # bytes of an element of the 16-bit floats, which are summed in float32


def sum_at(out: ndarray, indices: list[ndarray], dims: tuple[int, ...], values: ndarray) -> ndarray:
    """``out`` with ``values`` added at the places ``indices`` of its dimensions ``dims``.

    ``values`` has the shape of ``out[...]`` there, and its axes as NumPy's indexing puts them.
    Integers are in bounds, negative ones count from the end. Writes into ``out`` and returns it.
    """
    if len(dims) == 1:
        index = indices[0]
        d = dims[0]
        table = out if d == 0 else np.moveaxis(out, d, 0)
        lead = index.ndim
        if d:
            values = np.moveaxis(values, range(d, d + lead), range(lead))
        index = index.reshape(-1)
    else:
        index = np.broadcast_arrays(*indices)
        lead = index[0].ndim
        adjacent = dims[-1] - dims[0] == len(dims) - 1
        if adjacent and dims[0]:
            values = np.moveaxis(values, range(dims[0], dims[0] + lead), range(lead))
        table = np.moveaxis(out, dims, range(len(dims)))
        sizes = table.shape[: len(dims)]
        index = np.ravel_multi_index(
            [np.where(i < 0, i + n, i).reshape(-1) for i, n in zip(index, sizes)], sizes
        ) if 0 not in sizes else index[0].reshape(-1)  # fmt: skip
        dense = table.reshape(-1, *table.shape[len(dims) :])
        if not np.shares_memory(dense, table):
            table[...] = add_rows(dense, index, values).reshape(table.shape)
            return out
        table = dense
    add_rows(table, index, values)
    return out


def add_rows(table: ndarray, index: ndarray, values: ndarray) -> ndarray:
    """``table[index[i]] += values[i]`` for every i, repeated places included; returns ``table``."""
    if not index.size or not table.size:
        return table
    rest = table.shape[1:]
    rows = values.reshape(index.size, *rest)
    n = table.shape[0]
    if int(index.min()) < 0:
        index = np.where(index < 0, index + n, index)
    wide = table.dtype.itemsize == REDUCED and table.dtype.kind not in "iu"
    if wide:
        rows = rows.astype(np.float32)
    if table.dtype.kind == "b":
        np.logical_or.at(table, index, rows)
        return table
    order = index.argsort(kind="stable")
    ordered = index[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    sums = np.add.reduceat(rows[order], starts, axis=0, dtype=rows.dtype)
    places = ordered[starts]
    if wide:
        sums += table[places].astype(np.float32)
        table[places] = sums.astype(table.dtype)
    else:
        table[places] += sums
    return table


def add_flat(flat: ndarray, places: ndarray, values: ndarray) -> ndarray:
    """``flat[places[i]] += values[i]`` for every i, repeated places included; returns ``flat``."""
    if flat.dtype.kind == "b":
        np.logical_or.at(flat, places, values)
    elif flat.dtype.itemsize == REDUCED and flat.dtype.kind not in "iu":
        total = flat.astype(np.float32)
        np.add.at(total, places, values.astype(np.float32))
        flat[...] = total.astype(flat.dtype)
    else:
        np.add.at(flat, places, values)
    return flat
