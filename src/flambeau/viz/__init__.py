"""Seeing a model: ``flambeau.summary(model, x)`` and ``flambeau.graph(out)``.

Text and SVG, which notebooks show; no other package is needed.
"""

from __future__ import annotations

from ._graph import Picture, graph
from ._summary import Summary, summary

__all__ = ["Picture", "Summary", "graph", "summary"]
