"""An optimizer that works on other tensors for a while."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..core.value import Value
from .optimizer import Optimizer

_NAME = "swap_in_optimizer_params_and_state"


@contextmanager
def swap_in_optimizer_params_and_state(
    optimizer: Optimizer, swapin_parameters: dict[str, Value], swapin_optim_state: dict[str, Any]
) -> Iterator[None]:
    """Within, ``optimizer`` has the given parameters, in the order of its own, and the state and
    options of a state_dict; its steps change those tensors. Afterwards it has its own again.

    RuntimeError where it has no state yet, or where the numbers of parameters differ.
    """
    if not optimizer.state:
        raise RuntimeError(f"{_NAME} requires initialized optimizer state.")
    states = swapin_optim_state.get("state")
    if not isinstance(states, dict):
        raise RuntimeError(
            f"{_NAME} requires swapin_optim_state['state'] to be a dict mapping packed parameter "
            f"ids to per-param state dicts, got {type(states).__name__}."
        )
    own_groups, own_state = optimizer.param_groups, optimizer.state
    given = list(swapin_parameters.values())
    count = sum(len(group["params"]) for group in own_groups)
    if len(given) < count:
        raise RuntimeError(f"{_NAME} requires {count} parameters, got {len(given)}.")
    groups = []
    for group, saved in zip(own_groups, swapin_optim_state["param_groups"], strict=True):
        options = {k: v for k, v in saved.items() if k != "params"}
        groups.append({"params": [given.pop(0) for _ in group["params"]], **options})
    index = {
        key: p
        for group, saved in zip(groups, swapin_optim_state["param_groups"], strict=True)
        for key, p in zip(saved["params"], group["params"], strict=True)
    }
    optimizer.param_groups = groups
    optimizer.state = defaultdict(dict)
    for key, state in states.items():
        optimizer.state[index.get(key, key)] = dict(state) if isinstance(state, dict) else state
    try:
        yield
    finally:
        optimizer.param_groups, optimizer.state = own_groups, own_state


__all__ = ["swap_in_optimizer_params_and_state"]
