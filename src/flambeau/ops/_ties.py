"""Which of several equal elements a selection picks, for short lines.

PyTorch's CPU kernels select with algorithms that are not stable: topk and mode with C++'s
``nth_element``, ``partial_sort`` and ``sort`` (as libstdc++ implements them: introselect, heap
select, introsort), kthvalue with Hoare's quickselect and a median of three. The values do not
depend on that, but the indices of equal elements do. Here are the same algorithms on lists of
positions, compared by ``less``; long lines are left to NumPy, which takes other ones among equals.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np

Less = Callable[[int, int], bool]
LONGEST = 4096  # elements in all, above which the choice among equals is NumPy's


def tied(lines: np.ndarray) -> Iterable[int]:
    """The numbers of the lines that have equal elements and no nan; none if there are too many."""
    if not 0 < lines.size <= LONGEST:
        return ()
    ordered = np.sort(lines, 1)
    repeated = ordered[:, 1:] == ordered[:, :-1]
    if not repeated.any():
        return ()
    return np.flatnonzero(repeated.any(1) & (ordered[:, -1] == ordered[:, -1]))


# ---- introselect and introsort -------------------------------------------------------------


def _insertion_sort(p: list[int], first: int, last: int, less: Less) -> None:
    for i in range(first + 1, last):
        value = p[i]
        while i > first and less(value, p[i - 1]):
            p[i] = p[i - 1]
            i -= 1
        p[i] = value


def _partition(p: list[int], first: int, last: int, less: Less) -> int:
    """Split around the median of the second, the middle and the last element; where the cut is."""
    a, b, c = first + 1, first + (last - first) // 2, last - 1
    if less(p[a], p[b]):
        median = b if less(p[b], p[c]) else c if less(p[a], p[c]) else a
    else:
        median = a if less(p[a], p[c]) else c if less(p[b], p[c]) else b
    p[first], p[median] = p[median], p[first]
    pivot = p[first]
    low, high = first + 1, last
    while True:
        while less(p[low], pivot):
            low += 1
        high -= 1
        while less(pivot, p[high]):
            high -= 1
        if low >= high:
            return low
        p[low], p[high] = p[high], p[low]
        low += 1


def nth_element(p: list[int], nth: int, less: Less) -> None:
    """Put the element of rank ``nth`` there, none greater before it, none less behind it."""
    first, last = 0, len(p)
    depth = 2 * int(math.log2(last)) if last else 0
    while last - first > 3:
        if not depth:
            part = p[first:last]
            _heap_select(part, nth + 1 - first, less)
            part[0], part[nth - first] = part[nth - first], part[0]
            p[first:last] = part
            return
        depth -= 1
        cut = _partition(p, first, last, less)
        if cut <= nth:
            first = cut
        else:
            last = cut
    _insertion_sort(p, first, last, less)


def sort(p: list[int], first: int, last: int, less: Less) -> None:
    """Introsort of ``p[first:last]``."""
    if last > first:
        _introsort(p, first, last, 2 * int(math.log2(last - first)), less)
        _insertion_sort(p, first, last, less)


def _introsort(p: list[int], first: int, last: int, depth: int, less: Less) -> None:
    while last - first > 16:
        if not depth:
            part = p[first:last]
            partial_sort(part, len(part), less)
            p[first:last] = part
            return
        depth -= 1
        cut = _partition(p, first, last, less)
        _introsort(p, cut, last, depth, less)
        last = cut


# ---- heap select ---------------------------------------------------------------------------


def _sift(p: list[int], hole: int, size: int, value: int, less: Less) -> None:
    """Let ``value`` sink from ``hole`` to the bottom along larger children, then rise again."""
    top = hole
    child = 2 * hole + 2
    while child < size:
        if less(p[child], p[child - 1]):
            child -= 1
        p[hole] = p[child]
        hole, child = child, 2 * child + 2
    if child == size:
        p[hole] = p[child - 1]
        hole = child - 1
    parent = (hole - 1) // 2
    while hole > top and less(p[parent], value):
        p[hole] = p[parent]
        hole, parent = parent, (parent - 1) // 2
    p[hole] = value


def _heap_select(p: list[int], middle: int, less: Less) -> None:
    """The ``middle`` least elements as a heap at the front."""
    for i in range(middle // 2 - 1, -1, -1):
        _sift(p, i, middle, p[i], less)
    for i in range(middle, len(p)):
        if less(p[i], p[0]):
            value, p[i] = p[i], p[0]
            _sift(p, 0, middle, value, less)


def partial_sort(p: list[int], middle: int, less: Less) -> None:
    """The ``middle`` least elements in order at the front."""
    _heap_select(p, middle, less)
    for last in range(middle - 1, 0, -1):
        value, p[last] = p[last], p[0]
        _sift(p, 0, last, value, less)


# ---- selections ----------------------------------------------------------------------------


def top(line: list, k: int, largest: bool) -> list[int]:
    """Positions of the ``k`` best elements, best first, as topk orders them."""
    p = list(range(len(line)))
    if largest:

        def less(i: int, j: int) -> bool:
            return line[i] > line[j]

    else:

        def less(i: int, j: int) -> bool:
            return line[i] < line[j]

    if k * 64 <= len(line):
        partial_sort(p, k, less)
    else:
        nth_element(p, k - 1, less)
        sort(p, 0, k - 1, less)
    return p[:k]


def most_frequent(line: list) -> int:
    """Where the last of the most frequent elements is after sorting, the smallest of several."""
    p = list(range(len(line)))
    sort(p, 0, len(p), lambda i, j: line[i] < line[j])
    best = run = 0
    chosen = p[0]
    for i, place in enumerate(p):
        run = run + 1 if i and line[place] == line[p[i - 1]] else 1
        if run > best:
            best, chosen = run, place
    return chosen


def kth(line: list, k: int) -> int:
    """Where the element of rank ``k`` (from 0) is, by quickselect."""
    v, p = list(line), list(range(len(line)))

    def swap(i: int, j: int) -> None:
        v[i], v[j], p[i], p[j] = v[j], v[i], p[j], p[i]

    low, high = 0, len(v) - 1
    while high > low + 1:
        swap(low + (high - low) // 2, low + 1)
        for a, b in ((low + 1, high), (low, high), (low + 1, low)):
            if v[a] > v[b]:
                swap(a, b)
        i, j, pivot = low + 1, high, v[low]
        while True:
            i += 1
            while pivot > v[i]:
                i += 1
            j -= 1
            while v[j] > pivot:
                j -= 1
            if j < i:
                break
            swap(i, j)
        swap(low, j)
        if j <= k:
            low = i
        if j >= k:
            high = j - 1
    if high == low + 1 and v[low] > v[high]:
        swap(low, high)
    return p[k]
