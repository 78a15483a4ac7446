"""How a batch gets from a worker process to the one that trains: arrays by shared memory.

The worker writes arrays into blocks of shared memory and sends the rest of the batch, pickled, and
where each array lies. The receiver builds tensors over the same memory; when the last of them is
gone, it lends the block to the worker again, whose pages then need not be made anew.
"""

from __future__ import annotations

import io
import math
import os
import pickle
import socket
import weakref
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler

import numpy as np

from .... import _dtypes
from ....core import shared_memory
from ....core.tape import Leaf
from ....core.value import Value, wrap
from ....tensor._tensor import Tensor

INLINE = 1 << 15  # bytes of pickle that go through the pipe; more goes by shared memory as well
_LEAST = 1 << 20  # bytes of the smallest block


class Sender:
    """The worker's end: memory for the arrays of a batch, and the batch's way out."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.shares = shared_memory.available()
        self._socket = socket.socket(fileno=os.dup(connection.fileno())) if self.shares else None
        self._blocks: list[shared_memory.Block] = []
        self._free: list[int] = []  # numbers of blocks that nobody looks at
        self._used: dict[int, int] = {}  # this batch's blocks, and the bytes taken of each
        self._known = 0  # blocks that the receiver has got
        self._where: dict[int, tuple] = {}  # id of an array of this batch -> its place

    def take_back(self, numbers: list[int]) -> None:
        """The receiver does not look at these blocks any more."""
        self._free += numbers

    def empty(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """Unfilled memory for an array of this batch."""
        number, offset = self._place(math.prod(shape) * dtype.itemsize)
        array = np.ndarray(shape, dtype, self._blocks[number].map, offset)
        self._where[id(array)] = (number, offset, array)  # the array too: its id stays its own
        return array

    def _place(self, nbytes: int) -> tuple[int, int]:
        nbytes = -(-max(nbytes, 1) // shared_memory.ALIGN) * shared_memory.ALIGN
        for number, used in self._used.items():
            if used + nbytes <= self._blocks[number].size:
                self._used[number] = used + nbytes
                return number, used
        fitting = [n for n in self._free if self._blocks[n].size >= nbytes]
        if fitting:
            number = max(fitting, key=lambda n: self._blocks[n].size)
            self._free.remove(number)
        else:
            size = max(_LEAST, 1 << (nbytes + nbytes // 2).bit_length())
            self._blocks.append(shared_memory.Block(size))
            number = len(self._blocks) - 1
        self._used[number] = nbytes
        return number, 0

    def place(self, array: np.ndarray) -> tuple[int, int]:
        """Block and offset of ``array``, which is copied unless it is there already."""
        known = self._where.get(id(array))
        if known is None:
            copy = self.empty(array.shape, array.dtype)
            copy[...] = array
            known = self._where[id(copy)]
            self._where[id(array)] = (*known[:2], array)
        return known[:2]

    def send(self, head: tuple, batch: object) -> None:
        """Send ``head`` and ``batch``. Whatever pickling raises comes out before anything is sent.

        The next batch begins after that.
        """
        try:
            buffer = io.BytesIO()
            (_Pickler(self, buffer) if self.shares else ForkingPickler(buffer)).dump(batch)
            data: object = buffer.getbuffer()
            if self.shares and len(data) > INLINE:
                data = (*self.place(np.frombuffer(data, np.uint8)), len(data))
            else:
                data = bytes(data)
            new = [block.size for block in self._blocks[self._known :]]
            self.connection.send_bytes(pickle.dumps((*head, data, list(self._used), new)))
            for block in self._blocks[self._known :]:
                socket.send_fds(self._socket, [b"f"], [block.fd])
            self._known = len(self._blocks)
            self._used = {}
        finally:
            self._free += self._used  # the batch was not sent
            self._used = {}
            self._where = {}


class _Pickler(ForkingPickler):
    """Pickles all but the arrays, for which it writes their place."""

    def __init__(self, sender: Sender, file: io.BytesIO) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self.sender = sender

    def persistent_id(self, value: object) -> tuple | None:
        cls = value.__class__
        if cls is Tensor:
            if value._edge is not None and not value.is_leaf:
                return None  # its own reducer explains why it cannot be sent
            array, kind = value._array, 2 if value._edge is not None else 1
        elif cls is np.ndarray and not value.dtype.hasobject and value.dtype.names is None:
            array, kind = value, 0
        else:
            return None
        try:
            name = _dtypes.from_numpy(array.dtype).name
        except TypeError:
            name = array.dtype.str
        return (kind, *self.sender.place(array), array.shape, name)


class Receiver:
    """The training process's end of one worker's pipe."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        shares = shared_memory.available()
        self._socket = socket.socket(fileno=os.dup(connection.fileno())) if shares else None
        self._blocks: list[shared_memory.Block] = []
        self._returned: list[int] = []
        self._watches: dict[int, weakref.ref] = {}
        _receivers.add(self)

    def returned(self) -> list[int]:
        """Numbers of the blocks that were given back since the last call."""
        count = len(self._returned)  # more may come at any moment, from any thread
        numbers = self._returned[:count]
        del self._returned[:count]
        return numbers

    def receive(self) -> tuple:
        """``(*head, batch)`` of one message. EOFError when the worker is gone."""
        *head, data, used, new = pickle.loads(self.connection.recv_bytes())
        for size in new:
            _, descriptors, _, _ = socket.recv_fds(self._socket, 1, 1)
            if not descriptors:
                raise EOFError("the worker is gone")
            self._blocks.append(shared_memory.Block(size, descriptors[0]))
        leases = {}
        for number in used:
            lease = leases[number] = self._blocks[number].lease()
            self._watches[number] = weakref.ref(lease, self._when_gone(number))
        if isinstance(data, tuple):
            number, offset, size = data
            data = bytes(memoryview(leases[number])[offset : offset + size])
        return *head, _Unpickler(data, leases).load()

    def _when_gone(self, number: int) -> Callable[[weakref.ref], None]:
        returned, block = self._returned, self._blocks[number]
        return lambda _: None if block.exported else returned.append(number)

    def keep_lent(self) -> None:
        """Never lend again the blocks that arrays lie in now."""
        for number, watch in list(self._watches.items()):
            if watch() is not None:
                self._blocks[number].exported = True

    def close(self) -> None:
        """Close the pipe; arrays that are in use keep their memory."""
        self.connection.close()
        if self._socket is not None:
            self._socket.close()


_receivers: weakref.WeakSet[Receiver] = weakref.WeakSet()


def _keep_lent() -> None:
    for receiver in list(_receivers):
        receiver.keep_lent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_keep_lent)  # the child sees the batches that are there now


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, leases: dict) -> None:
        super().__init__(io.BytesIO(data))
        self.leases = leases
        self.made: dict[tuple, object] = {}

    def persistent_load(self, place: tuple) -> object:
        known = self.made.get(place)
        if known is not None:
            return known
        kind, number, offset, shape, name = place
        known_dtype = _dtypes.BY_NAME.get(name)
        dtype = np.dtype(name) if known_dtype is None else known_dtype.numpy
        value: object = np.ndarray(shape, dtype, self.leases[number], offset)
        if kind:
            value = _tensor(value, kind == 2)
        self.made[place] = value
        return value


def _tensor(array: np.ndarray, requires_grad: bool) -> Value:
    tensor = wrap(array)
    if requires_grad:
        tensor._edge = Leaf(tensor)
    return tensor
