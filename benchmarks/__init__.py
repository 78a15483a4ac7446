"""The same workload under PyTorch and under flambeau, in turn: `python -m benchmarks`."""
