"""Applications of flambeau: plain PyTorch programs that run under both libraries."""
