"""Process groups: who takes part, and what may be asked about it. A group holds one rank, or none.

Source: https://docs.pytorch.org/docs/stable/distributed.html#initialization
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

from .._refusals import refuse

ONE_PROCESS = (
    "more than one process is not there yet: start one, with WORLD_SIZE=1 (or world_size=1) and "
    "RANK=0; it can use all processors (torch.set_num_threads)"
)


class Backend(str):
    """A backend's name in small letters: ``Backend("GLOO") == "gloo"``."""

    UNDEFINED = "undefined"
    GLOO = "gloo"
    NCCL = "nccl"
    UCC = "ucc"
    MPI = "mpi"
    XCCL = "xccl"
    FAKE = "fake"
    backend_list = [UNDEFINED, GLOO, NCCL, XCCL, UCC, MPI, FAKE]
    default_device_backend_map = {"cpu": GLOO, "cuda": NCCL, "xpu": XCCL, "mps": GLOO}

    def __new__(cls, name: str) -> str:
        if not isinstance(name, str):
            raise ValueError(f"Backend constructor parameter must be string-ish, but got {name!r}")
        return str.__new__(cls, name.lower())


class ProcessGroup:
    """The processes that a collective joins: this one."""

    def __init__(self, backend: str, name: str) -> None:
        self._backend = backend
        self._name = name

    def rank(self) -> int:
        """This process's place in the group: 0."""
        return 0

    def size(self) -> int:
        """How many processes the group has: 1."""
        return 1

    def name(self) -> str:
        """The backend's name."""
        return self._backend

    @property
    def group_name(self) -> str:
        """The group's own name."""
        return self._name


class _WorldType(type):
    """``group.WORLD`` is the default group, or None before there is one."""

    @property
    def WORLD(cls) -> ProcessGroup | None:
        """The group of all processes."""
        return _world.group

    @WORLD.setter
    def WORLD(cls, group: ProcessGroup | None) -> None:
        _world.group = group


class group(metaclass=_WorldType):
    """Holds ``WORLD``, the group of all processes."""


class GroupMember(metaclass=_WorldType):
    """Holds ``WORLD``, and what ``new_group`` gives to processes that are not in the group."""

    NON_GROUP_MEMBER = -100


class _World:
    group: ProcessGroup | None = None
    count = 0  # of groups made


_world = _World()


def is_available() -> bool:
    """Whether there is this package: True (for one process)."""
    return True


def is_initialized() -> bool:
    """Whether there is a default group."""
    return _world.group is not None


def is_gloo_available() -> bool:
    """Whether "gloo" is accepted: True. A group of one needs no library to talk."""
    return True


def is_nccl_available() -> bool:
    """Whether GPUs can talk: there are none."""
    return False


def is_mpi_available() -> bool:
    """Whether there is an MPI backend: not yet."""
    return False


def is_ucc_available() -> bool:
    """Whether there is a UCC backend: no."""
    return False


def is_xccl_available() -> bool:
    """Whether there is an XCCL backend: no."""
    return False


def is_backend_available(backend: str) -> bool:
    """Whether ``init_process_group(backend)`` is accepted."""
    return backend.lower() in ("gloo", "cpu:gloo", "undefined", "fake")


def is_torchelastic_launched() -> bool:
    """Whether a launcher of PyTorch's has started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def init_process_group(
    backend: str | None = None,
    init_method: str | None = None,
    timeout: timedelta | None = None,
    world_size: int = -1,
    rank: int = -1,
    store: object | None = None,
    group_name: str = "",
    pg_options: object | None = None,
    device_id: object | None = None,
    _ranks: Sequence[int] | None = None,
) -> None:
    """Make the default group, of one process.

    ``init_method`` "env://" (the default) reads what is not given from WORLD_SIZE and RANK; one
    with a place to meet ("tcp://...", "file://...") or a ``store`` needs both as arguments, or in
    its query. ``backend``: "gloo", or None. Raises ValueError for a second default group or where
    a number is missing or wrong, RuntimeError for a backend that is not there, AssertionError for
    one that nobody knows, NotImplementedError for more than one process.
    """
    if _world.group is not None:
        raise ValueError("trying to initialize the default process group twice!")
    backend = _accepted(backend)
    if store is not None:
        if init_method is not None:
            raise AssertionError("Cannot specify both init_method and store.")
        if not (world_size > 0 and rank >= 0):
            raise AssertionError("world_size and rank must be positive if using store")
    else:
        world_size, rank = _met(init_method or "env://", world_size, rank)
    if world_size != 1:
        refuse(f"init_process_group(world_size={world_size})", ONE_PROCESS)
    if rank != 0:
        raise ValueError(f"rank must be within [0, {world_size - 1}], but it is {rank}")
    _world.group = _new(backend)


def _accepted(backend: str | None) -> str:
    """The backend that the group says it has; raises where PyTorch without GPUs does."""
    name = "gloo" if backend is None else Backend(backend)
    for part in name.split(","):
        part = part.rpartition(":")[2]
        if part not in Backend.backend_list:
            raise AssertionError(
                f"Unknown backend type {part}: choose one of {', '.join(Backend.backend_list[1:])}"
            )
        if part not in ("gloo", "fake", "undefined") and not (part == "nccl" and "," in name):
            raise RuntimeError(
                f"Distributed package doesn't have {part.upper()} built in\n"
                "  use backend='gloo', which runs on the CPU"
            )
    return "gloo" if "," in name or ":" in name or name == "undefined" else str(name)


def _met(init_method: str, world_size: int, rank: int) -> tuple[int, int]:
    """World size and rank: from the arguments, the address's query or the environment."""
    address = urlsplit(init_method)
    if address.scheme not in ("env", "tcp", "file"):
        raise RuntimeError(f"No rendezvous handler for {address.scheme}://")
    query = parse_qs(address.query)
    found = []
    for given, key, variable in (
        (rank, "rank", "RANK"),
        (world_size, "world_size", "WORLD_SIZE"),
    ):
        if given < 0 and key in query:
            given = int(query[key][0])
        if given < 0:
            where = f"Error initializing torch.distributed using {address.scheme}:// rendezvous"
            if address.scheme != "env":
                raise ValueError(f"{where}: {key} parameter missing")
            if variable not in os.environ:
                raise ValueError(
                    f"{where}: environment variable {variable} expected, but not set\n"
                    f"  for one process: init_process_group(..., rank=0, world_size=1)"
                )
            given = int(os.environ[variable])
        found.append(given)
    return found[1], found[0]


def _new(backend: str) -> ProcessGroup:
    _world.count += 1
    return ProcessGroup(backend, str(_world.count - 1))


def the_group(group: ProcessGroup | int | None = None) -> ProcessGroup | None:
    """The group asked for, by default that of all; None where this process is not in it."""
    if _world.group is None:
        raise ValueError(
            "Default process group has not been initialized, please make sure to call "
            "init_process_group."
        )
    if group == GroupMember.NON_GROUP_MEMBER:
        return None
    if group is not None and not isinstance(group, ProcessGroup):
        raise TypeError(f"group must be a ProcessGroup, not {type(group).__name__}")
    return group or _world.group


_get_default_group = the_group


def destroy_process_group(group: ProcessGroup | None = None) -> None:
    """Forget ``group``; by default that of all. AssertionError where there is none."""
    if group is None and _world.group is None:
        raise AssertionError("Process group cannot be None")
    if group is None or group is _world.group:
        _world.group = None
        _world.count = 0


def get_rank(group: ProcessGroup | None = None) -> int:
    """This process's rank in ``group``: 0, or -1 if it is not in it.

    ValueError before ``init_process_group``, as for all that follow.
    """
    return -1 if the_group(group) is None else 0


def get_world_size(group: ProcessGroup | None = None) -> int:
    """How many ranks ``group`` has: 1, or -1 if this process is not in it."""
    return -1 if the_group(group) is None else 1


def get_backend(group: ProcessGroup | None = None) -> str:
    """The name of the group's backend. ValueError if this process is not in the group."""
    found = the_group(group)
    if found is None:
        raise ValueError("Invalid process group specified")
    return found.name()


def get_backend_config(group: ProcessGroup | None = None) -> str:
    """The backend of each kind of device."""
    return f"cpu:{get_backend(group)}"


def get_default_backend_for_device(device: object) -> str:
    """The backend that PyTorch prefers for ``device``."""
    kind = getattr(device, "type", None) or str(device).partition(":")[0]
    if kind not in Backend.default_device_backend_map:
        raise ValueError(f"Default backend not registered for device : {device}")
    return Backend.default_device_backend_map[kind]


def get_node_local_rank(fallback_rank: int | None = None) -> int:
    """LOCAL_RANK of the environment, else ``fallback_rank``; RuntimeError without both."""
    if "LOCAL_RANK" in os.environ:
        return int(os.environ["LOCAL_RANK"])
    if fallback_rank is None:
        raise RuntimeError(
            "LOCAL_RANK is not in the environment. Consider passing fallback_rank to allow "
            "`get_node_local_rank` to work, assuming you are not running in a multi-device context."
        )
    return int(fallback_rank)


def get_process_group_ranks(group: ProcessGroup | None = None) -> list[int]:
    """The global ranks of the group's members."""
    return [] if the_group(group) is None else [0]


def get_global_rank(group: ProcessGroup, group_rank: int) -> int:
    """The global rank of a member. ValueError if there is none of that rank."""
    if the_group(group) is None or group_rank != 0:
        raise ValueError(f"Group rank {group_rank} is not part of group {group}")
    return 0


def get_group_rank(group: ProcessGroup, global_rank: int) -> int:
    """The rank within ``group`` of a global rank. ValueError if it is not in the group."""
    if the_group(group) is None or global_rank != 0:
        raise ValueError(f"Global rank {global_rank} is not part of group {group}")
    return 0


def get_pg_count() -> int:
    """How many groups there are."""
    return _world.count


def new_group(
    ranks: Sequence[int] | None = None,
    timeout: timedelta | None = None,
    backend: str | None = None,
    pg_options: object | None = None,
    use_local_synchronization: bool = False,
    group_desc: str | None = None,
    device_id: object | None = None,
    sort_ranks: bool = True,
) -> ProcessGroup | int:
    """A group of ``ranks`` (all by default); NON_GROUP_MEMBER where this process is not in it.

    ValueError for ranks outside the world, or named twice.
    """
    world = the_group()
    if ranks is not None:
        if len(ranks) > 1 and len(set(ranks)) == len(ranks):
            raise ValueError(
                "the new group's world size should be less or equal to the world size set by "
                f"init_process_group: ranks {list(ranks)}, world size 1"
            )
        for rank in ranks:
            if rank != 0:
                raise ValueError(
                    "The new group's rank should be within the world_size set by "
                    f"init_process_group: rank {rank}, world size 1"
                )
        if len(ranks) > 1:
            raise ValueError(f"The new group's ranks are named twice: {list(ranks)}")
        if not ranks:
            return GroupMember.NON_GROUP_MEMBER
    return _new(world.name() if backend is None else _accepted(backend))


def new_subgroups(
    group_size: int | None = None, group: ProcessGroup | None = None, **options: object
) -> tuple[ProcessGroup, list[ProcessGroup]]:
    """The world cut into groups of ``group_size``, which can only be 1: own group, all groups."""
    if group_size not in (None, 1):
        raise ValueError(f"The arg 'group_size' ({group_size}) must not exceed the world size (1)")
    own = new_group([0])
    return own, [own]


def new_subgroups_by_enumeration(
    ranks_per_subgroup_list: Sequence[Sequence[int]], **options: object
) -> tuple[ProcessGroup | None, list[ProcessGroup]]:
    """A group for each list of ranks: own group, all groups."""
    if not ranks_per_subgroup_list:
        raise ValueError("The arg 'ranks_per_subgroup_list' cannot be empty")
    groups = [new_group(ranks) for ranks in ranks_per_subgroup_list]
    own = [g for g in groups if isinstance(g, ProcessGroup)]
    return (own[0] if own else None), groups


__all__ = [
    "Backend", "GroupMember", "ProcessGroup", "destroy_process_group", "get_backend",
    "get_backend_config", "get_default_backend_for_device", "get_global_rank", "get_group_rank",
    "get_node_local_rank", "get_pg_count", "get_process_group_ranks", "get_rank", "get_world_size",
    "group", "init_process_group", "is_available", "is_backend_available", "is_gloo_available",
    "is_initialized", "is_mpi_available", "is_nccl_available", "is_torchelastic_launched",
    "is_ucc_available", "is_xccl_available", "new_group", "new_subgroups",
    "new_subgroups_by_enumeration",
]  # fmt: skip
