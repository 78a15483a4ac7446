"""Where the boxes of a layered drawing go: Sugiyama's method, in its plainest form.

Every box stands one layer below the lowest of those it comes from. The order inside a layer is
found by barycentres, sweeping down and up; long edges get a place in each layer they cross.
Source: Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system
structures" (IEEE Trans. SMC 11, 1981).
"""

from __future__ import annotations

from collections.abc import Hashable

_GAP, _RISE, _SWEEPS = 24.0, 46.0, 8
_BEND = 10.0  # width kept free for an edge that passes through a layer

Key = Hashable
Point = tuple[float, float]


def layered(
    sizes: dict[Key, tuple[float, float]], edges: list[tuple[Key, Key]]
) -> tuple[dict[Key, Point], list[list[Point]], float, float]:
    """Centres of the boxes, the points that each edge passes, and width and height of it all.

    ``sizes``: width and height of each box, sources before what is made of them; ``edges``: from a
    source to what is made of it.
    """
    into: dict[Key, list[Key]] = {k: [] for k in sizes}
    for a, b in edges:
        into[b].append(a)
    layer: dict[Key, int] = {}
    for k in sizes:
        layer[k] = max((layer[a] + 1 for a in into[k]), default=0)
    out: dict[Key, list[Key]] = {k: [] for k in sizes}
    for a, b in edges:
        out[a].append(b)
    for k in reversed(list(sizes)):  # sources stand just above what uses them first
        if not into[k] and out[k]:
            layer[k] = min(layer[b] for b in out[k]) - 1
    rows: list[list[Key]] = [[] for _ in range(max(layer.values(), default=0) + 1)]
    width = {k: w for k, (w, _) in sizes.items()}
    for k in sizes:
        rows[layer[k]].append(k)
    paths: list[list[Key]] = []
    for i, (a, b) in enumerate(edges):
        path: list[Key] = [a]
        for row in range(layer[a] + 1, layer[b]):
            bend = ("bend", i, row)
            width[bend] = _BEND
            rows[row].append(bend)
            path.append(bend)
        paths.append([*path, b])
    up: dict[Key, list[Key]] = {k: [] for row in rows for k in row}
    down: dict[Key, list[Key]] = {k: [] for row in rows for k in row}
    for path in paths:
        for a, b in zip(path, path[1:]):
            up[b].append(a)
            down[a].append(b)
    x = _spread(rows, width, up, down)
    y, heights = [], 0.0
    for row in rows:
        tall = max((sizes[k][1] for k in row if k in sizes), default=0.0)
        y.append(heights + tall / 2)
        heights += tall + _RISE
    row_of = {k: i for i, row in enumerate(rows) for k in row}
    centres = {k: (x[k], y[row_of[k]]) for k in x}
    left = min((x[k] - width[k] / 2 for k in x), default=0.0)
    right = max((x[k] + width[k] / 2 for k in x), default=0.0)
    centres = {k: (cx - left, cy) for k, (cx, cy) in centres.items()}
    lines = []
    for path in paths:
        a, b = path[0], path[-1]
        points = [centres[k] for k in path]
        points[0] = (points[0][0], points[0][1] + sizes[a][1] / 2)
        points[-1] = (points[-1][0], points[-1][1] - sizes[b][1] / 2)
        lines.append(points)
    return {k: centres[k] for k in sizes}, lines, right - left, max(0.0, heights - _RISE)


def _spread(
    rows: list[list[Key]],
    width: dict[Key, float],
    up: dict[Key, list[Key]],
    down: dict[Key, list[Key]],
) -> dict[Key, float]:
    """The x of everything: each near the mean of its neighbours, none over another."""
    x: dict[Key, float] = {}
    for row in rows:
        _place(row, dict.fromkeys(row, 0.0), width, x)
    for sweep in range(_SWEEPS):
        downward = sweep % 2 == 0
        for row in rows if downward else reversed(rows):
            near = up if downward else down
            wanted = {
                k: sum(x[n] for n in near[k]) / len(near[k]) if near[k] else x[k] for k in row
            }
            row.sort(key=wanted.__getitem__)
            _place(row, wanted, width, x)
    return x


def _place(
    row: list[Key], wanted: dict[Key, float], width: dict[Key, float], x: dict[Key, float]
) -> None:
    """Positions in the order of ``row`` that keep their distances, as near to ``wanted`` as a pass
    from either side comes."""
    right: list[float] = []
    for k in row:
        least = right[-1] + _GAP if right else -1e9
        right.append(max(wanted[k] + width[k] / 2, least + width[k]))
    left: list[float] = []
    for k in reversed(row):
        most = left[-1] - _GAP if left else 1e9
        left.append(min(wanted[k] - width[k] / 2, most - width[k]))
    for k, r, l in zip(row, right, reversed(left)):
        x[k] = (r - width[k] / 2 + l + width[k] / 2) / 2
