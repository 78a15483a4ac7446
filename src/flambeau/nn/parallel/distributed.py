"""DistributedDataParallel: one model, trained by all processes of a group.

Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.parallel.DistributedDataParallel.html
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..._refusals import refuse
from ...core.modes import no_grad, state
from ...core.value import Value, wrap
from ...distributed._collectives import ReduceOp, _broadcast, all_reduce_coalesced
from ...distributed._group import ProcessGroup, the_group
from ...distributed.algorithms.join import Join, Joinable, JoinHook, _counted, common_rank
from ...tensor._device import device
from ..modules.module import Module


class _Shadow(JoinHook):
    """What a rank does that has no batches any more: it takes part in what the others exchange."""

    def __init__(self, model: DistributedDataParallel, by_initial_size: bool) -> None:
        self.model = model
        model._by_initial_size = by_initial_size

    def main_hook(self) -> None:
        """See JoinHook."""
        model = self.model
        if model._sends_buffers():
            model._send(False)
        if _counted(0, model.process_group):
            model._average(joined=True)

    def post_hook(self, is_last_joiner: bool) -> None:
        """See JoinHook: all take the model of one of those that came last."""
        model = self.model
        root = common_rank(model.process_group, is_last_joiner)
        _broadcast(model.process_group, model._state(), root)


class DistributedDataParallel(Module, Joinable):
    """``module``, whose gradients are averaged over the processes of a group.

    When it is made, all ranks get the parameters and buffers of the group's rank 0; before each
    forward pass in training its buffers again (``broadcast_buffers``); at the end of each backward
    pass that reached it, ``.grad`` of all parameters becomes its mean over the ranks, on one
    journey. A parameter that only some ranks used counts as zero on the others, whatever
    ``find_unused_parameters`` says. The module is under the names ``module.*``.
    ValueError before ``init_process_group``; RuntimeError if no parameter requires a gradient, and
    where the ranks' modules have different parameters. Options about buckets have nothing to do.
    """

    def __init__(
        self,
        module: Module,
        device_ids: Sequence[Any] | None = None,
        output_device: Any = None,
        dim: int = 0,
        broadcast_buffers: bool = True,
        init_sync: bool = True,
        process_group: ProcessGroup | None = None,
        bucket_cap_mb: float | None = None,
        find_unused_parameters: bool = False,
        check_reduction: bool = False,
        gradient_as_bucket_view: bool = False,
        static_graph: bool = False,
        delay_all_reduce_named_params: Any = None,
        param_to_hook_all_reduce: Any = None,
        mixed_precision: Any = None,
        device_mesh: Any = None,
        skip_all_reduce_unused_params: bool = False,
    ) -> None:
        super().__init__()
        if mixed_precision is not None or device_mesh is not None:
            given = "device_mesh" if mixed_precision is None else "mixed_precision"
            refuse(f"DistributedDataParallel({given}=)", "use torch.autocast, or leave it out")
        self.process_group = the_group(process_group)
        if not any(p.requires_grad for p in module.parameters()):
            raise RuntimeError(
                "DistributedDataParallel is not needed when a module doesn't have any parameters "
                "that require a gradient."
            )
        if device_ids:
            raise ValueError(
                "DistributedDataParallel device_ids and output_device arguments only work with "
                "single-device/multiple-device GPU modules or CPU modules with device_ids=None, "
                f"but got device_ids {list(device_ids)}: the module is on the CPU"
            )
        self.module = module
        self.device_ids = None
        self.output_device = None
        self.dim = dim
        self.device = next(module.parameters()).device
        self.broadcast_buffers = broadcast_buffers
        self.find_unused_parameters = find_unused_parameters
        self.gradient_as_bucket_view = gradient_as_bucket_view
        self.static_graph = static_graph
        self.require_backward_grad_sync = True
        Joinable.__init__(self)
        self._by_initial_size = True
        self._active: int | None = None  # ranks that still have batches, within a Join
        self._alone = self.process_group is None or self.process_group.size() == 1
        self._under_way = False
        if self._alone:
            return
        if init_sync:
            _broadcast(self.process_group, self._state(), 0)
        for parameter in module.parameters():
            if parameter.requires_grad:
                parameter.register_post_accumulate_grad_hook(self._reached)

    def _state(self) -> list[Value]:
        tensors = [*self.module.parameters(), *self.module.buffers()]
        return [t.detach() for t in tensors]

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """What the module computes."""
        self._under_way = False
        if self._join_config.enable:
            self._active = Join.notify_join_context(self)
            if self._sends_buffers():
                self._send(True)
            _counted(int(self.require_backward_grad_sync and state.grad), self.process_group)
        elif not self._alone and self.training and self.broadcast_buffers:
            buffers = [b.detach() for b in self.module.buffers()]
            if buffers and self.require_backward_grad_sync and state.grad:
                _broadcast(self.process_group, buffers, 0)
        return self.module(*inputs, **kwargs)

    def _reached(self, parameter: Value) -> None:
        """A gradient has come: when the walk back is over, average them all."""
        if self.require_backward_grad_sync and not self._under_way:
            self._under_way = True
            state.after.append(self._average)

    def _sends_buffers(self) -> bool:
        return self.broadcast_buffers and next(self.module.buffers(), None) is not None

    def _send(self, active: bool) -> None:
        """Within a Join, the buffers of a rank that has batches."""
        root = common_rank(self.process_group, active)
        _broadcast(self.process_group, [b.detach() for b in self.module.buffers()], root)

    def _average(self, joined: bool = False) -> None:
        """Average the gradients; ``joined``: give zeros, and keep what is one's own."""
        self._under_way = False
        parameters = [p for p in self.module.parameters() if p.requires_grad]
        used = np.array([p.grad is not None and not joined for p in parameters], np.int32)
        with no_grad():
            grads = [
                p.new_zeros(p.shape) if p.grad is None or joined else p.grad for p in parameters
            ]
            sums = [wrap(used)]
            kinds: dict = {}
            for grad in grads:
                kinds.setdefault(grad.dtype, []).append(grad)
            sums += [
                wrap(np.concatenate([g._array.reshape(-1) for g in k])) for k in kinds.values()
            ]
            all_reduce_coalesced(sums, ReduceOp.SUM, self.process_group)
            if joined:
                return
            size = self.process_group.size()
            if self._join_config.enable and not self._by_initial_size and self._active:
                size = self._active
            starts = dict.fromkeys(kinds, 0)
            totals = dict(zip(kinds, sums[1:], strict=True))
            for parameter, grad, count in zip(parameters, grads, sums[0].tolist(), strict=True):
                start = starts[grad.dtype]
                starts[grad.dtype] = start + grad.numel()
                if count:
                    mean = totals[grad.dtype][start : start + grad.numel()]
                    grad.copy_(mean.view(grad.shape) / size)
                    parameter.grad = grad

    @contextlib.contextmanager
    def no_sync(self) -> Iterator[None]:
        """Gradients made in this block are not averaged yet."""
        before, self.require_backward_grad_sync = self.require_backward_grad_sync, False
        try:
            yield
        finally:
            self.require_backward_grad_sync = before

    def join(
        self,
        divide_by_initial_world_size: bool = True,
        enable: bool = True,
        throw_on_early_termination: bool = False,
    ) -> Join:
        """Scope in which some ranks may run out of batches before others: ``Join([self])``.

        ``divide_by_initial_world_size``: gradients are divided by the number of all ranks, else by
        that of those that still have batches.
        """
        return Join(
            [self],
            enable,
            throw_on_early_termination,
            divide_by_initial_world_size=divide_by_initial_world_size,
        )

    def join_hook(self, **kwargs: Any) -> JoinHook:
        """See Joinable."""
        return _Shadow(self, kwargs.get("divide_by_initial_world_size", True))

    @property
    def join_device(self) -> device:
        """See Joinable."""
        return self.device

    @property
    def join_process_group(self) -> ProcessGroup:
        """See Joinable."""
        return self.process_group

    def will_sync_module_buffers(self) -> bool:
        """Whether forward passes exchange buffers."""
        return not self._alone and self._sends_buffers()

    def register_comm_hook(self, state: object, hook: Callable) -> None:
        """Refused: NotImplementedError."""
        refuse("DistributedDataParallel.register_comm_hook", "gradients are sent as they are")


__all__ = ["DistributedDataParallel"]
