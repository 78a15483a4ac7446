"""The Tensor class: its methods, how tensors are made, printed, converted and stored."""
