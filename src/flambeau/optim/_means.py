"""What Adam and its kin share: the gradient that is followed, and its running means."""

from __future__ import annotations

import numpy as np


def followed(
    p: np.ndarray, g: np.ndarray, lr: float, decay: float, decoupled: bool, maximize: bool
) -> np.ndarray:
    """The gradient with weight decay in it; decoupled, that goes into ``p`` at once."""
    if maximize:
        g = -g
    if decay:
        if decoupled:
            p *= 1 - lr * decay
        else:
            g = g + decay * p
    return g


def update_means(
    g: np.ndarray, m: np.ndarray, v: np.ndarray, beta1: float, beta2: float
) -> np.ndarray:
    """m = b1 m + (1 - b1) g and v = b2 v + (1 - b2) g^2, in place; returns an array to work in."""
    d = g - m
    d *= 1 - beta1
    m += d
    np.multiply(g, g, out=d)
    d *= 1 - beta2
    v *= beta2
    v += d
    return d
