"""Process groups: who takes part, and what may be asked about it.

Source: https://docs.pytorch.org/docs/stable/distributed.html#initialization
"""

from __future__ import annotations

import itertools
import multiprocessing.util
import os
import socket
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import numpy as np

from .._refusals import refuse
from ._exchange import DistBackendError, Request, outcome
from ._hub import Hub, Link, listen

default_pg_timeout = timedelta(minutes=30)


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
    """The processes that a collective joins. ``ranks``: their ranks in the world, in order."""

    def __init__(
        self, backend: str, name: str, ranks: Sequence[int], timeout: timedelta | None
    ) -> None:
        self._backend = backend
        self._name = name
        self.ranks = list(ranks)
        self.timeout = (timeout or default_pg_timeout).total_seconds()
        self._own = self.ranks.index(_world.rank)
        self._sequence = itertools.count(1)

    def rank(self) -> int:
        """This process's place in the group."""
        return self._own

    def size(self) -> int:
        """How many processes the group has."""
        return len(self.ranks)

    def name(self) -> str:
        """The backend's name."""
        return self._backend

    @property
    def group_name(self) -> str:
        """The group's own name."""
        return self._name

    def start(
        self, request: Request, timeout: timedelta | None = None
    ) -> Callable[[], list[np.ndarray]]:
        """Take part in a collective; what is returned waits for its end, and gives what this rank
        takes away. Its attribute ``number`` asks the link whether that is there."""
        if len(self.ranks) == 1:
            given = outcome([request])[0]
            return lambda: given
        header = {
            "kind": request.call,
            "sequence": next(self._sequence),
            "op": request.op,
            "root": request.root,
            "wants": request.wants,
        }
        if timeout is not None:
            header["timeout"] = timeout.total_seconds()
        return self.post(header, request.arrays, request.line)

    def post(
        self, header: dict, arrays: Sequence[np.ndarray], line: str
    ) -> Callable[[], list[np.ndarray]]:
        """Send what the hub is to know; the same."""
        link = _world.link
        if link is None:
            raise DistBackendError("the process group has been destroyed")
        common = {"group": self._name, "ranks": self.ranks, "timeout": self.timeout, "line": line}
        number = link.ask({**common, **header}, arrays)

        def wait() -> list[np.ndarray]:
            answer, given = link.wait(number)
            wait.sender = answer.get("sender")
            return given

        wait.ready = lambda: link.has(number)
        return wait


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
    rank = 0
    link: Link | None = None
    hub: Hub | None = None  # in rank 0


_world = _World()


def is_available() -> bool:
    """Whether there is this package: True."""
    return True


def is_initialized() -> bool:
    """Whether there is a default group."""
    return _world.group is not None


def is_gloo_available() -> bool:
    """Whether "gloo" is accepted: True. The ranks talk through sockets of Python's own."""
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
    """Join the default group, and wait until all its processes have.

    ``init_method`` "env://" (the default) reads what is not given from WORLD_SIZE, RANK,
    MASTER_ADDR and MASTER_PORT; "tcp://host:port" and "file:///path" say where to meet, and need
    world size and rank as arguments or in their query. ``backend``: "gloo", or None. ``timeout``:
    how long to wait for the others, here and in collectives; 30 minutes. Raises ValueError for a
    second default group or where a number is missing or wrong, RuntimeError for a backend that is
    not there, AssertionError for one that nobody knows, DistNetworkError if the others do not come.
    """
    if _world.group is not None:
        raise ValueError("trying to initialize the default process group twice!")
    backend = _accepted(backend)
    init_method = init_method or ("env://" if store is None else None)
    if store is not None:
        if init_method is not None:
            raise AssertionError("Cannot specify both init_method and store.")
        if not (world_size > 0 and rank >= 0):
            raise AssertionError("world_size and rank must be positive if using store")
        if world_size != 1:
            refuse("init_process_group(store=)", "say where to meet: init_method='tcp://host:port'")
    else:
        world_size, rank = _met(init_method, world_size, rank)
    if not 0 <= rank < world_size:
        raise ValueError(f"rank must be within [0, {world_size - 1}], but it is {rank}")
    _world.rank = rank
    if world_size > 1:
        _meet(init_method, rank, world_size, (timeout or default_pg_timeout).total_seconds())
    _world.group = _new(backend, range(world_size), timeout)


def _meet(init_method: str, rank: int, world_size: int, timeout: float) -> None:
    """Connect this process with the others; in rank 0, open the hub."""
    address = urlsplit(init_method)
    path = address.path if address.scheme == "file" else None
    host, port = address.hostname, address.port
    if address.scheme == "env":
        for variable in ("MASTER_ADDR", "MASTER_PORT"):
            if variable not in os.environ:
                raise ValueError(
                    "Error initializing torch.distributed using env:// rendezvous: environment "
                    f"variable {variable} expected, but not set\n  where rank 0 is to be found: "
                    "for processes of one machine, 127.0.0.1 and any free port"
                )
        host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    if path is not None:
        host, port = _own_host(), 0

    def find() -> tuple[str, int] | None:
        if path is None:
            return host, port
        try:
            with open(path) as file:
                found, number = file.read().split()
            return found, int(number)
        except (OSError, ValueError):
            return None

    if rank == 0:
        listener = listen(host, port)
        if path is not None:
            with open(f"{path}.{os.getpid()}", "w") as file:
                file.write(f"{host} {listener.getsockname()[1]}")
            os.replace(file.name, path)
        _world.hub = Hub(listener, world_size, timeout)
    who = f"process {os.getpid()} on {socket.gethostname()}"
    _world.link = Link(find, rank, world_size, who, timeout)
    multiprocessing.util.Finalize(None, _leave, exitpriority=100)


def _own_host() -> str:
    try:
        return socket.gethostbyname(socket.gethostname())
    except OSError:
        return "127.0.0.1"


def _leave(why: str = "") -> None:
    """Say goodbye; in rank 0, keep the hub until all have. Also run when the process ends."""
    link, hub, _world.link, _world.hub = _world.link, _world.hub, None, None
    if link is None:
        return
    error = getattr(sys, "last_value", None)
    if not why and error is not None:
        first = str(error).partition("\n")[0]
        why = f"has ended by {type(error).__name__}: {first}"
    link.leave(why or "has ended")
    if hub is not None:
        hub.thread.join()


def _forget() -> None:
    """In a forked child: the connection is the parent's."""
    if _world.link is not None:
        _world.link.connection.close()
    if _world.hub is not None:
        _world.hub.forget()
    _world.link = _world.hub = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


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


def _new(
    backend: str, ranks: Sequence[int], timeout: timedelta | None = None
) -> ProcessGroup | int:
    """The next group: every process makes all groups in the same order, in it or not."""
    _world.count += 1
    if _world.rank not in ranks:
        return GroupMember.NON_GROUP_MEMBER
    return ProcessGroup(backend, str(_world.count - 1), ranks, timeout)


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
        _leave("has left with destroy_process_group()")
        _world.group = None
        _world.count = _world.rank = 0


def get_rank(group: ProcessGroup | None = None) -> int:
    """This process's rank in ``group``, or -1 if it is not in it.

    ValueError before ``init_process_group``, as for all that follow.
    """
    found = the_group(group)
    return -1 if found is None else found.rank()


def get_world_size(group: ProcessGroup | None = None) -> int:
    """How many ranks ``group`` has, or -1 if this process is not in it."""
    found = the_group(group)
    return -1 if found is None else found.size()


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
    found = the_group(group)
    return [] if found is None else list(found.ranks)


def get_global_rank(group: ProcessGroup, group_rank: int) -> int:
    """The global rank of a member. ValueError if there is none of that rank."""
    found = the_group(group)
    if found is None or group_rank not in range(found.size()):
        raise ValueError(f"Group rank {group_rank} is not part of group {group}")
    return found.ranks[group_rank]


def get_group_rank(group: ProcessGroup, global_rank: int) -> int:
    """The rank within ``group`` of a global rank. ValueError if it is not in the group."""
    found = the_group(group)
    if found is None or global_rank not in found.ranks:
        raise ValueError(f"Global rank {global_rank} is not part of group {group}")
    return found.ranks.index(global_rank)


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
    ranks = list(world.ranks if ranks is None else ranks)
    if len(ranks) > world.size() and len(set(ranks)) == len(ranks):
        raise ValueError(
            "the new group's world size should be less or equal to the world size set by "
            f"init_process_group: ranks {ranks}, world size {world.size()}"
        )
    for rank in ranks:
        if rank not in world.ranks:
            raise ValueError(
                "The new group's rank should be within the world_size set by "
                f"init_process_group: rank {rank}, world size {world.size()}"
            )
    if len(set(ranks)) != len(ranks):
        raise ValueError(f"The new group's ranks are named twice: {ranks}")
    if sort_ranks:
        ranks.sort()
    return _new(world.name() if backend is None else _accepted(backend), ranks, timeout)


def new_subgroups(
    group_size: int | None = None, group: ProcessGroup | None = None, **options: object
) -> tuple[ProcessGroup, list[ProcessGroup]]:
    """The world cut into groups of ``group_size``, by default of this machine's processes
    (LOCAL_WORLD_SIZE): own group, all groups. ValueError unless the size divides the world's."""
    world = the_group(group)
    size = group_size or int(os.environ.get("LOCAL_WORLD_SIZE", world.size()))
    if size > world.size():
        raise ValueError(
            f"The arg 'group_size' ({size}) must not exceed the world size ({world.size()})"
        )
    if world.size() % size:
        raise ValueError(
            f"The world size ({world.size()}) must be divisible by 'group_size={size}'"
        )
    starts = range(0, world.size(), size)
    return new_subgroups_by_enumeration([world.ranks[i : i + size] for i in starts])


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
    "Backend", "GroupMember", "ProcessGroup", "default_pg_timeout", "destroy_process_group",
    "get_backend",
    "get_backend_config", "get_default_backend_for_device", "get_global_rank", "get_group_rank",
    "get_node_local_rank", "get_pg_count", "get_process_group_ranks", "get_rank", "get_world_size",
    "group", "init_process_group", "is_available", "is_backend_available", "is_gloo_available",
    "is_initialized", "is_mpi_available", "is_nccl_available", "is_torchelastic_launched",
    "is_ucc_available", "is_xccl_available", "new_group", "new_subgroups",
    "new_subgroups_by_enumeration",
]  # fmt: skip
