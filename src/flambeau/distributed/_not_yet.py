"""What of ``torch.distributed`` shards a model, or is not a collective: it can be imported
and asked about (``isinstance``), and raises NotImplementedError when it is called.
"""

from __future__ import annotations

from .._refusals import refusing_modules
from . import algorithms

__all__ = ["algorithms"]  # loaded first: some of what is refused is put into it

_FSDP = """
    BackwardPrefetch CPUOffload CPUOffloadPolicy FSDPModule FullOptimStateDictConfig
    FullStateDictConfig FullyShardedDataParallel LocalOptimStateDictConfig LocalStateDictConfig
    MixedPrecision MixedPrecisionPolicy OffloadPolicy OptimStateKeyType ShardedOptimStateDictConfig
    ShardedStateDictConfig ShardingStrategy StateDictConfig StateDictSettings StateDictType
    UnshardHandle fully_shard register_fsdp_forward_method
"""
_TENSOR = """
    DTensor DeviceMesh Partial Placement Replicate Shard distribute_module distribute_tensor empty
    full ones rand randn zeros
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
        "torch.distributed.tensor.experimental": "context_parallel implicit_replication local_map",
        "torch.distributed._tensor": _TENSOR,
        "torch.distributed._tensor.device_mesh": "DeviceMesh init_device_mesh",
        "torch.distributed.algorithms.ddp_comm_hooks": "",
        "torch.distributed.algorithms.ddp_comm_hooks.default_hooks": """
            allreduce_hook bf16_compress_hook bf16_compress_wrapper fp16_compress_hook
            fp16_compress_wrapper
        """,
        "torch.distributed.algorithms._checkpoint": "",
        "torch.distributed.algorithms._checkpoint.checkpoint_wrapper": """
            CheckpointImpl CheckpointWrapper apply_activation_checkpointing checkpoint_wrapper
            offload_wrapper
        """,
        "torch.distributed.pipelining": """
            PipelineStage Schedule1F1B ScheduleGPipe ScheduleInterleaved1F1B SplitPoint pipe_split
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
        "torch.distributed.rpc": """
            RRef TensorPipeRpcBackendOptions get_worker_info init_rpc remote rpc_async rpc_sync
            shutdown
        """,
        "torch.distributed.autograd": "backward context get_gradients",
        "torch.distributed.launcher": "LaunchConfig elastic_launch",
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
        "torch.distributed.checkpoint.default_planner": "DefaultLoadPlanner DefaultSavePlanner",
        "torch.distributed.checkpoint.state_dict": """
            StateDictOptions get_model_state_dict get_optimizer_state_dict get_state_dict
            set_model_state_dict set_optimizer_state_dict set_state_dict
        """,
    },
    "torch.save and torch.load write and read whole state_dicts",
)
