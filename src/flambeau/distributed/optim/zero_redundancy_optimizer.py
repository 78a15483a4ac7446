"""``ZeroRedundancyOptimizer``: each rank keeps the state of its own share of the parameters.

Every rank has all parameters and gradients; it steps those of its share, and all send what they
have changed to the others.
Source: https://arxiv.org/abs/1910.02054
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from ..._refusals import refuse
from ...core.modes import no_grad
from ...core.value import Value
from ...optim.optimizer import Optimizer, Params
from ...tensor._device import CPU, device
from .._collectives import _broadcast, gather_object
from .._group import ProcessGroup, get_global_rank, the_group
from ..algorithms.join import Joinable, JoinHook


class _Shadow(JoinHook):
    """What a rank does that has no batches any more: a step without gradients."""

    def __init__(self, optimizer: ZeroRedundancyOptimizer) -> None:
        self.optimizer = optimizer

    def main_hook(self) -> None:
        """See JoinHook."""
        self.optimizer.step()


class ZeroRedundancyOptimizer(Optimizer, Joinable):
    """``optimizer_class(params, **defaults)``, its state shared out over the ranks of a group.

    Parameters go, the largest first, to the rank that has the fewest elements so far.
    ``consolidate_state_dict(to)`` gathers the whole state before ``state_dict()`` there; loading
    one gives each rank its share. ``parameters_as_bucket_view`` has nothing to do;
    NotImplementedError for ``overlap_with_ddp``.
    """

    def __init__(
        self,
        params: Params,
        optimizer_class: type[Optimizer],
        process_group: ProcessGroup | None = None,
        parameters_as_bucket_view: bool = False,
        overlap_with_ddp: bool = False,
        **defaults: Any,
    ) -> None:
        if overlap_with_ddp:
            refuse("ZeroRedundancyOptimizer(overlap_with_ddp=True)", "leave it out")
        self.process_group = the_group(process_group)
        self.rank = 0 if self.process_group is None else self.process_group.rank()
        self.world_size = 1 if self.process_group is None else self.process_group.size()
        self._class, self._own_defaults = optimizer_class, defaults
        self.optim: Optimizer | None = None
        Joinable.__init__(self)
        Optimizer.__init__(self, params, defaults)
        self._share()
        self._whole: list[dict[str, Any]] = []

    # ---- shares ------------------------------------------------------------------------------

    def _share(self) -> None:
        """Say which rank has which parameter, and make the optimizer of this rank's."""
        sizes = [0] * self.world_size
        self._owner: dict[int, int] = {}
        for group in self.param_groups:
            for p in sorted(group["params"], key=lambda p: -p.numel()):
                rank = sizes.index(min(sizes))
                sizes[rank] += p.numel()
                self._owner[id(p)] = rank
        groups = [
            {**group, "params": [p for p in group["params"] if self._owner[id(p)] == self.rank]}
            for group in self.param_groups
        ]
        before = None if self.optim is None else self.optim.state
        self.optim = self._class(groups, **self._own_defaults)
        if before is not None:
            self.optim.state.update(before)
        for group, own in zip(self.param_groups, self.optim.param_groups, strict=True):
            for key, value in own.items():
                group.setdefault(key, value)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group, and share it out."""
        Optimizer.add_param_group(self, param_group)
        if self.optim is not None:
            self._share()

    def _options(self) -> None:
        """Give this rank's optimizer the options that schedulers have set here."""
        for group, own in zip(self.param_groups, self.optim.param_groups, strict=True):
            own.update({k: v for k, v in group.items() if k not in ("params", "param_names")})

    # ---- steps -------------------------------------------------------------------------------

    def step(self, closure: Callable[[], Any] | None = None, **kwargs: Any) -> Any:
        """Step this rank's share, and exchange what all have changed."""
        self._options()
        loss = self.optim.step(**kwargs) if closure is None else self.optim.step(closure, **kwargs)
        if self.world_size > 1:
            with no_grad():
                for rank in range(self.world_size):
                    tensors = [p.detach() for p in self._all() if self._owner[id(p)] == rank]
                    if tensors:
                        _broadcast(self.process_group, tensors, rank)
        return loss

    def _all(self) -> list[Value]:
        return [p for group in self.param_groups for p in group["params"]]

    # ---- state_dict --------------------------------------------------------------------------

    def consolidate_state_dict(self, to: int = 0) -> None:
        """Gather the state of all shares on rank ``to``. All ranks call it."""
        own = copy.deepcopy(self.optim.state_dict())
        if self.world_size == 1:
            self._whole = [own]
            return
        into: list | None = [None] * self.world_size if self.rank == to else None
        gather_object(own, into, get_global_rank(self.process_group, to), self.process_group)
        self._whole = [] if into is None else into

    def state_dict(self) -> dict[str, Any]:
        """The whole state, parameters numbered as without shares. RuntimeError unless
        ``consolidate_state_dict`` has gathered it on this rank."""
        if not self._whole:
            raise RuntimeError(
                "Optimizer state has not been consolidated on this rank. Please call "
                f"`consolidate_state_dict(to={self.rank})` on all ranks beforehand if you meant to "
                "save the global state."
            )
        self._options()
        result = Optimizer.state_dict(self)
        number = {id(p): i for i, p in enumerate(self._all())}
        result["state"] = {}
        for rank, local in enumerate(self._whole):
            own = [p for p in self._all() if self._owner[id(p)] == rank]
            result["state"].update({number[id(own[i])]: s for i, s in local["state"].items()})
        result["state"] = dict(sorted(result["state"].items()))
        return result

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the options, and the state of this rank's share, of a whole state."""
        Optimizer.load_state_dict(self, state_dict)
        for p, values in list(self.state.items()):
            if self._owner.get(id(p)) == self.rank:
                self.optim.state[p] = values
        self.state.clear()
        self._options()

    # ---- with other Joinables ----------------------------------------------------------------

    def join_hook(self, **kwargs: Any) -> JoinHook:
        """See Joinable."""
        return _Shadow(self)

    @property
    def join_device(self) -> device:
        """See Joinable."""
        return CPU

    @property
    def join_process_group(self) -> ProcessGroup:
        """See Joinable."""
        return self.process_group


__all__ = ["ZeroRedundancyOptimizer"]
