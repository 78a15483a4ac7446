"""Compositions of operations: the long tail of PyTorch's functions."""
