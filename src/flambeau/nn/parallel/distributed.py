"""DistributedDataParallel over a group of one process.

Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.parallel.DistributedDataParallel.html
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..._refusals import refuse
from ...distributed._group import ProcessGroup, the_group
from ..modules.module import Module


class DistributedDataParallel(Module):
    """``module``, whose gradients are averaged over the processes of a group.

    Of the one process there can be, the average is its own gradient: the module is called as it
    is, under the names ``module.*``. ValueError before ``init_process_group``; RuntimeError if no
    parameter requires a gradient. Options about buckets and broadcasts have nothing to do.
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

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """What the module computes."""
        return self.module(*inputs, **kwargs)

    @contextlib.contextmanager
    def no_sync(self) -> Iterator[None]:
        """Gradients made in this block are not averaged yet."""
        before, self.require_backward_grad_sync = self.require_backward_grad_sync, False
        try:
            yield
        finally:
            self.require_backward_grad_sync = before

    @contextlib.contextmanager
    def join(
        self,
        divide_by_initial_world_size: bool = True,
        enable: bool = True,
        throw_on_early_termination: bool = False,
    ) -> Iterator[DistributedDataParallel]:
        """Ranks may have different numbers of batches: one rank has no one to wait for."""
        yield self

    def register_comm_hook(self, state: object, hook: Callable) -> None:
        """Refused: NotImplementedError, nothing is sent that a hook could compress."""
        refuse("DistributedDataParallel.register_comm_hook", "one process sends no gradients")


__all__ = ["DistributedDataParallel"]
