"""What of ``torch.distributed`` shards a model, or is not a collective: it can be imported
and asked about (``isinstance``), and raises NotImplementedError when it is called.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from enum import Enum
from typing import Any, NoReturn

from .._refusals import refusing_modules
from . import algorithms
from ._placements import PLACEMENTS

__all__ = ["algorithms"]  # loaded first: some of what is refused is put into it

_FSDP = """
    CPUOffload CPUOffloadPolicy FSDPModule FullOptimStateDictConfig
    FullStateDictConfig FullyShardedDataParallel LocalOptimStateDictConfig LocalStateDictConfig
    MixedPrecision MixedPrecisionPolicy OffloadPolicy ShardedOptimStateDictConfig
    ShardedStateDictConfig StateDictConfig StateDictSettings UnshardHandle fully_shard
    register_fsdp_forward_method
"""
_TENSOR = """
    DTensor DeviceMesh distribute_module distribute_tensor empty full ones rand randn zeros
"""
_PARALLEL = """
    ColwiseParallel ParallelStyle PrepareModuleInput PrepareModuleInputOutput PrepareModuleOutput
    RowwiseParallel SequenceParallel loss_parallel parallelize_module
"""

refusing_modules(
    {
        "torch.distributed.fsdp": _FSDP,
        "torch.distributed.fsdp.api": _FSDP,
        "torch.distributed.fsdp.fully_sharded_data_parallel": _FSDP,
        "torch.distributed.fsdp.sharded_grad_scaler": "ShardedGradScaler",
        "torch.distributed.fsdp.wrap": """
            CustomPolicy ModuleWrapPolicy always_wrap_policy enable_wrap lambda_auto_wrap_policy
            size_based_auto_wrap_policy transformer_auto_wrap_policy wrap _or_policy
        """,
        "torch.distributed._composable": "",
        "torch.distributed._composable.fsdp": _FSDP,
        "torch.distributed.device_mesh": "DeviceMesh init_device_mesh",
        "torch.distributed.tensor": _TENSOR,
        "torch.distributed.tensor.parallel": _PARALLEL,
        "torch.distributed.tensor.parallel.style": _PARALLEL,
        "torch.distributed.tensor.device_mesh": "DeviceMesh init_device_mesh",
        "torch.distributed.tensor.placement_types": "DTensorSpec TensorMeta",
        "torch.distributed.tensor._utils": """
            compute_local_shape_and_global_offset compute_global_tensor_info
        """,
        "torch.distributed.tensor.experimental": "context_parallel implicit_replication local_map",
        "torch.distributed.tensor.experimental._attention": "set_rotate_method context_parallel",
        "torch.distributed._tensor": _TENSOR,
        "torch.distributed._tensor.placement_types": "DTensorSpec TensorMeta",
        "torch.distributed._tensor.device_mesh": "DeviceMesh init_device_mesh",
        "torch.distributed.algorithms.ddp_comm_hooks": "",
        "torch.distributed.algorithms.ddp_comm_hooks.post_localSGD_hook": """
            PostLocalSGDState post_localSGD_hook
        """,
        "torch.distributed.algorithms.ddp_comm_hooks.powerSGD_hook": """
            PowerSGDState batched_powerSGD_hook powerSGD_hook
        """,
        "torch.distributed.algorithms.ddp_comm_hooks.default_hooks": """
            allreduce_hook bf16_compress_hook bf16_compress_wrapper fp16_compress_hook
            fp16_compress_wrapper
        """,
        "torch.distributed.algorithms._checkpoint": "",
        "torch.distributed.algorithms._checkpoint.checkpoint_wrapper": """
            CheckpointWrapper apply_activation_checkpointing checkpoint_wrapper
            offload_wrapper
        """,
        "torch.distributed.pipelining": """
            PipelineStage Schedule1F1B ScheduleGPipe ScheduleInterleaved1F1B pipe_split
            pipeline
        """,
    },
    "models are not sharded over processes yet: use the module itself, or "
    "torch.nn.parallel.DistributedDataParallel",
)
refusing_modules(
    {
        "torch.distributed": "DeviceMesh init_device_mesh FileStore HashStore PrefixStore Store "
        "TCPStore",
        "torch.distributed._functional_collectives": """
            AsyncCollectiveTensor all_gather_tensor all_reduce all_to_all_single
            all_to_all_single_autograd broadcast permute_tensor reduce_scatter_tensor wait_tensor
        """,
        "torch.distributed.rpc": """
            RRef TensorPipeRpcBackendOptions get_worker_info init_rpc remote rpc_async rpc_sync
            shutdown
        """,
        "torch.distributed.autograd": "backward context get_gradients",
        "torch.distributed.launcher": "LaunchConfig elastic_launch",
        "torch.distributed.launcher.api": "LaunchConfig elastic_launch",
        "torch.distributed.rpc.api": "_all_gather",
        "torch.distributed.rpc.functions": "async_execution",
    },
    "processes talk through the collectives of torch.distributed alone",
)
refusing_modules(
    {
        "torch.distributed.checkpoint": """
            DefaultLoadPlanner DefaultSavePlanner FileSystemReader FileSystemWriter LoadPlan
            LoadPlanner Metadata SavePlan SavePlanner StorageReader StorageWriter async_save load
            load_state_dict save save_state_dict
        """,
        "torch.distributed.checkpoint.format_utils": """
            BroadcastingTorchSaveReader DynamicMetaLoadPlanner _EmptyStateDictLoadPlanner
            dcp_to_torch_save torch_save_to_dcp
        """,
        "torch.distributed.checkpoint.metadata": "BytesStorageMetadata Metadata",
        "torch.distributed.checkpoint.optimizer": "load_sharded_optimizer_state_dict",
        "torch.distributed.checkpoint.planner": "LoadPlan LoadPlanner SavePlan SavePlanner",
        "torch.distributed.checkpoint.state_dict_loader": "_load_state_dict load",
        "torch.distributed.checkpoint.state_dict_saver": "async_save save",
        "torch.distributed.checkpoint.storage": "StorageReader StorageWriter",
        "torch.distributed.checkpoint.utils": "CheckpointException",
        "torch.distributed.checkpoint.hf_storage": """
            HuggingFaceStorageReader HuggingFaceStorageWriter
        """,
        "torch.distributed.checkpoint._consolidate_hf_safetensors": """
            consolidate_safetensors_files
        """,
        "torch.distributed.checkpoint.default_planner": "DefaultLoadPlanner DefaultSavePlanner",
        "torch.distributed.checkpoint.state_dict": """
            StateDictOptions get_model_state_dict get_optimizer_state_dict get_state_dict
            set_model_state_dict set_optimizer_state_dict set_state_dict
        """,
    },
    "torch.save and torch.load write and read whole state_dicts",
)
for _name in ("tensor", "tensor.placement_types", "_tensor", "_tensor.placement_types"):
    vars(sys.modules[f"{__package__}.{_name}"]).update(PLACEMENTS)


def _require_initialized(func: Callable) -> Callable:
    """Decorator of what needs ``rpc.init_rpc``, which never was: called, RuntimeError."""

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> NoReturn:
        raise RuntimeError(
            "RPC has not been initialized. Call torch.distributed.rpc.init_rpc first.\n"
            f"  flambeau has no rpc: {func.__name__} needs it"
        )

    return wrapper


sys.modules[f"{__package__}.rpc.api"]._require_initialized = _require_initialized


# ---- choices, which programs name where they are imported ----------------------------------------


def _choice(name: str, members: str, *modules: str) -> None:
    """The enumeration ``name`` in each of ``modules`` of ``torch.distributed``."""
    made = Enum(name, members.split(), module="flambeau.distributed.fsdp")
    made.__doc__ = f"A choice of PyTorch's: {', '.join(members.split())}."
    for module in modules:
        setattr(sys.modules[f"flambeau.distributed.{module}"], name, made)


_HOMES = ("fsdp", "fsdp.api", "fsdp.fully_sharded_data_parallel", "_composable.fsdp")
_choice("BackwardPrefetch", "BACKWARD_PRE BACKWARD_POST", *_HOMES)
_choice("OptimStateKeyType", "PARAM_NAME PARAM_ID", *_HOMES)
_choice(
    "ShardingStrategy",
    "FULL_SHARD SHARD_GRAD_OP NO_SHARD HYBRID_SHARD _HYBRID_SHARD_ZERO2",
    *_HOMES,
)
_choice("StateDictType", "FULL_STATE_DICT LOCAL_STATE_DICT SHARDED_STATE_DICT", *_HOMES)
_choice("CheckpointImpl", "REENTRANT NO_REENTRANT", "algorithms._checkpoint.checkpoint_wrapper")
_choice("SplitPoint", "BEGINNING END", "pipelining")
