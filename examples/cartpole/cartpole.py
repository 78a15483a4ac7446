"""A pole on a cart, in NumPy: push the cart left or right so that the pole stays up.

A. G. Barto, R. S. Sutton, C. W. Anderson: Neuronlike adaptive elements that can solve difficult
learning control problems, IEEE Transactions on Systems, Man, and Cybernetics 13, 1983.
"""

from __future__ import annotations

import numpy as np

GRAVITY = 9.8  # m/s^2
CART, POLE = 1.0, 0.1  # masses, kg
HALF = 0.5  # half the pole's length, m
FORCE = 10.0  # of a push, N
STEP = 0.02  # s
FAR, TILT = 2.4, np.radians(12)  # where an episode ends: m from the middle, angle from upright
LONGEST = 500  # steps


class CartPole:
    """``state``: the cart's place and speed, the pole's angle and angular speed."""

    def __init__(self, seed: int) -> None:
        self.chance = np.random.default_rng(seed)

    def reset(self) -> np.ndarray:
        """Start anew, almost upright in the middle."""
        self.steps = 0
        self.state = self.chance.uniform(-0.05, 0.05, 4)
        return self.state

    def step(self, action: int) -> tuple[np.ndarray, bool]:
        """Push right (1) or left (0) for 0.02 s: the state after it, and whether it is over."""
        x, speed, angle, turning = self.state
        force = FORCE if action else -FORCE
        sine, cosine = np.sin(angle), np.cos(angle)
        push = (force + POLE * HALF * turning**2 * sine) / (CART + POLE)
        faster = (GRAVITY * sine - cosine * push) / (
            HALF * (4 / 3 - POLE * cosine**2 / (CART + POLE))
        )
        pull = push - POLE * HALF * faster * cosine / (CART + POLE)
        change = np.array([speed, pull, turning, faster])
        self.state = self.state + STEP * change
        self.steps += 1
        fallen = abs(self.state[0]) > FAR or abs(self.state[2]) > TILT
        return self.state, bool(fallen) or self.steps == LONGEST
