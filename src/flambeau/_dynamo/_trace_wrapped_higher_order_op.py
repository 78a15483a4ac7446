"""What PyTorch's tracer needs so that masks can be indexed by mapped tensors."""

from __future__ import annotations


class TransformGetItemToIndex:
    """``with``: ``x[i]`` with a tensor ``i`` of one number may be mapped. Here it always may."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        pass
