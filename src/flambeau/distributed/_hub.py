"""Between processes: every rank has one connection, to a hub that runs in a thread of rank 0.

A rank sends a request (``_exchange.Request``) with the name of its group and a sequence number in
it; the hub waits for all ranks of the group, and answers each with what it takes away. So ranks
that call different things, or tensors of different shapes, are seen before anything is changed, and
told to all; and a rank that ends, in whatever way, closes its connection, and those who wait
for it are told who it was. Nothing waits longer than the group's timeout.

A frame is the length of a header, the length of a payload, the header as JSON, and the payload:
the elements of all arrays, one after the other.
"""

from __future__ import annotations

import contextlib
import errno
import json
import selectors
import socket
import struct
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .. import _dtypes
from ._exchange import DistBackendError, DistNetworkError, Request, outcome, signature

_PREFIX = struct.Struct("!IQ")
_MOST_HEADER = 64 << 20
_TICK = 0.5  # seconds between looks at the clock


def _bytes_of(array: np.ndarray) -> memoryview:
    return memoryview(np.ascontiguousarray(array).reshape(-1).view(np.uint8))


def frame(header: dict[str, Any], arrays: Sequence[np.ndarray] = ()) -> list[bytes | memoryview]:
    """A frame's parts, in order; the elements are not copied."""
    header = {**header, "arrays": signature(arrays)}
    text = json.dumps(header).encode()
    parts: list[bytes | memoryview] = [
        _PREFIX.pack(len(text), sum(a.nbytes for a in arrays)) + text
    ]
    return parts + [_bytes_of(a) for a in arrays if a.nbytes]


def _arrays(header: dict[str, Any], payload: bytearray) -> list[np.ndarray]:
    found, start = [], 0
    for name, shape in header["arrays"]:
        dtype = getattr(_dtypes, {"bool": "bool_"}.get(name, name)).numpy
        count = int(np.prod(shape, dtype=np.int64))
        found.append(np.frombuffer(payload, dtype, count, start).reshape(shape))
        start += count * dtype.itemsize
    return found


class _Incoming:
    """Puts frames together from whatever pieces a connection brings."""

    def __init__(self) -> None:
        self.buffer = bytearray(_PREFIX.size)
        self.have = 0
        self.stage = 0  # of prefix, header, payload
        self.header: dict[str, Any] = {}
        self.lengths = (0, 0)

    def take(self, connection: socket.socket) -> Iterator[tuple[dict[str, Any], bytearray]]:
        """Read once, and give the frame that this completes. EOFError at the end."""
        if self.have < len(self.buffer):
            got = connection.recv_into(memoryview(self.buffer)[self.have :])
            if not got:
                raise EOFError
            self.have += got
        while self.have == len(self.buffer):
            done, self.have = self.buffer, 0
            if self.stage == 0:
                self.lengths = _PREFIX.unpack(done)
                if not 0 < self.lengths[0] <= _MOST_HEADER:
                    raise EOFError  # whatever this is, it does not speak our language
                self.stage, self.buffer = 1, bytearray(self.lengths[0])
            elif self.stage == 1:
                self.header = json.loads(done)
                self.stage, self.buffer = 2, bytearray(self.lengths[1])
            else:
                self.stage, self.buffer = 0, bytearray(_PREFIX.size)
                yield self.header, done
                return


def _patient(connection: socket.socket) -> None:
    """Small frames at once; a machine that vanishes is noticed within seconds."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 1), ("TCP_KEEPINTVL", 1), ("TCP_KEEPCNT", 2)):
        if hasattr(socket, option):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


# ---- the hub -------------------------------------------------------------------------------


class _Peer:
    """The hub's end of a rank's connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.incoming = _Incoming()
        self.outgoing: deque[bytes | memoryview] = deque()
        self.rank: int | None = None
        self.who = ""
        self.last = ""


class _Waiting:
    """A collective, or a receiver, that is not complete."""

    def __init__(self, ranks: list[int], deadline: float) -> None:
        self.ranks = ranks
        self.deadline = deadline
        self.came: dict[int, tuple[int, Request]] = {}  # rank -> number of its request, request


class Hub:
    """Brings the requests of ``world_size`` ranks together, in a thread."""

    def __init__(self, listener: socket.socket, world_size: int, timeout: float) -> None:
        self.listener = listener
        self.world_size = world_size
        self.timeout = timeout
        self.selector = selectors.DefaultSelector()
        self.selector.register(listener, selectors.EVENT_READ, None)
        self.peers: dict[int, _Peer] = {}
        self.gone: dict[int, str] = {}
        self.collectives: dict[tuple[str, int], _Waiting] = {}
        self.letters: dict[tuple, deque] = defaultdict(deque)  # (group, from, to, tag) -> arrays
        self.receivers: list[tuple[dict, int, float]] = []
        self.thread = threading.Thread(target=self._serve, name="flambeau ranks", daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while len(self.gone) < self.world_size:
            for key, events in self.selector.select(_TICK):
                if key.data is None:
                    self._accept()
                    continue
                try:
                    if events & selectors.EVENT_READ:
                        for header, payload in key.data.incoming.take(key.data.connection):
                            self._heard(key.data, header, payload)
                    if events & selectors.EVENT_WRITE:
                        self._write(key.data)
                except BlockingIOError:
                    continue
                except (EOFError, OSError, ValueError, KeyError):
                    self._lost(key.data, None)
            self._look_at_the_clock()
        for peer in list(self.peers.values()):
            self.selector.unregister(peer.connection)
            peer.connection.close()
        self.listener.close()
        self.selector.close()

    def forget(self) -> None:
        """Close this process's copies of the connections: a forked child is no rank."""
        for peer in self.peers.values():
            peer.connection.close()
        self.listener.close()

    def _accept(self) -> None:
        connection, _ = self.listener.accept()
        _patient(connection)
        connection.setblocking(False)
        self.selector.register(connection, selectors.EVENT_READ, _Peer(connection))

    def _write(self, peer: _Peer) -> None:
        while peer.outgoing:
            part = memoryview(peer.outgoing[0])
            sent = peer.connection.send(part)
            if sent < len(part):
                peer.outgoing[0] = part[sent:]
                break
            peer.outgoing.popleft()
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if peer.outgoing else 0)
        self.selector.modify(peer.connection, events, peer)

    def _send(self, rank: int, header: dict, arrays: Sequence[np.ndarray] = ()) -> None:
        peer = self.peers.get(rank)
        if peer is not None:
            peer.outgoing.extend(frame(header, arrays))
            self.selector.modify(
                peer.connection, selectors.EVENT_READ | selectors.EVENT_WRITE, peer
            )

    def _heard(self, peer: _Peer, header: dict, payload: bytearray) -> None:
        kind = header["kind"]
        if kind == "hello":
            self._greet(peer, header)
        elif kind == "bye":
            self._lost(peer, header["why"])
        elif kind == "send":
            peer.last = header["line"]
            key = (header["group"], peer.rank, header["peer"], header["tag"])
            self.letters[key].append(_arrays(header, payload))
            self._send(peer.rank, {"number": header["number"]})
            self._deliver()
        elif kind == "recv":
            peer.last = header["line"]
            self.receivers.append((header, peer.rank, time.monotonic() + header["timeout"]))
            self._deliver()
        else:
            self._collect(peer, header, payload)

    def _greet(self, peer: _Peer, header: dict) -> None:
        peer.rank, peer.who = header["rank"], header["who"]
        wrong = ""
        if header["world_size"] != self.world_size:
            wrong = f"rank {peer.rank} says world_size={header['world_size']}, rank 0 says "
            wrong += str(self.world_size)
        elif peer.rank in self.peers:
            wrong = f"there are two of rank {peer.rank}: {self.peers[peer.rank].who}, {peer.who}"
        if wrong:
            peer.outgoing.extend(frame({"number": 0, "error": wrong}))
            self._write(peer)
            return
        self.peers[peer.rank] = peer
        if len(self.peers) == self.world_size:
            for rank in self.peers:
                self._send(rank, {"number": 0})

    def _collect(self, peer: _Peer, header: dict, payload: bytearray) -> None:
        request = Request(
            header["kind"],
            _arrays(header, payload),
            header["op"],
            header["root"],
            header["wants"],
            header["line"],
        )
        peer.last = request.told()
        key = (header["group"], header["sequence"])
        waiting = self.collectives.get(key)
        if waiting is None:
            deadline = time.monotonic() + header["timeout"]
            waiting = self.collectives[key] = _Waiting(header["ranks"], deadline)
        waiting.came[peer.rank] = (header["number"], request)
        if len(waiting.came) < len(waiting.ranks):
            self._give_up_on_the_gone(key, waiting)
            return
        del self.collectives[key]
        try:
            given = outcome([waiting.came[rank][1] for rank in waiting.ranks])
        except Exception as error:
            self._fail(
                waiting,
                f"{type(error).__name__}: {error}"
                if not isinstance(error, DistBackendError)
                else str(error),
                key,
            )
            return
        for rank, arrays in zip(waiting.ranks, given, strict=True):
            self._send(rank, {"number": waiting.came[rank][0]}, arrays)

    def _fail(self, waiting: _Waiting, why: str, key: tuple[str, int]) -> None:
        self.collectives.pop(key, None)
        group = "the default group" if key[0] == "0" else f"group {key[0]}"
        text = f"collective {key[1]} of {group}: {why}"
        for rank, (number, _) in waiting.came.items():
            self._send(rank, {"number": number, "error": text})

    def _give_up_on_the_gone(self, key: tuple[str, int], waiting: _Waiting) -> None:
        gone = [r for r in waiting.ranks if r in self.gone and r not in waiting.came]
        if gone:
            lines = [self.gone[rank] for rank in gone]
            lines += [f"  rank {r} waits in {c[1].told()}" for r, c in waiting.came.items()]
            self._fail(waiting, "\n".join(lines), key)

    def _deliver(self) -> None:
        """Give letters to receivers; tell those whose sender has gone."""
        left = []
        for header, rank, deadline in self.receivers:
            senders = header["ranks"] if header["peer"] is None else [header["peer"]]
            keys = [(header["group"], sender, rank, header["tag"]) for sender in senders]
            key = next((k for k in keys if self.letters.get(k)), None)
            missing = [s for s in senders if s != rank]
            if key is not None:
                arrays = self.letters[key].popleft()
                answer = {"number": header["number"], "sender": key[1]}
                if header["wants"] is not None and signature(arrays) != header["wants"]:
                    answer["error"] = (
                        f"rank {key[1]} sent {signature(arrays)}, but rank {rank} has room for "
                        f"{header['wants']}, at {header['line']}"
                    )
                    arrays = []
                self._send(rank, answer, arrays)
            elif missing and all(s in self.gone for s in missing):
                why = "\n".join(self.gone[s] for s in missing)
                why += f"\n  rank {rank} waits in recv() at {header['line']}"
                self._send(rank, {"number": header["number"], "error": why})
            else:
                left.append((header, rank, deadline))
        self.receivers = left

    def _lost(self, peer: _Peer, why: str | None) -> None:
        try:
            self.selector.unregister(peer.connection)
        except KeyError:
            return
        peer.connection.close()
        if peer.rank is None or self.peers.get(peer.rank) is not peer:
            return
        del self.peers[peer.rank]
        last = f"; its last call was {peer.last}" if peer.last else ""
        how = why or "has gone: the process has ended or cannot be reached"
        self.gone[peer.rank] = f"rank {peer.rank} ({peer.who}) {how}{last}"
        for key, waiting in list(self.collectives.items()):
            self._give_up_on_the_gone(key, waiting)
        self._deliver()

    def _look_at_the_clock(self) -> None:
        now = time.monotonic()
        for key, waiting in list(self.collectives.items()):
            if now > waiting.deadline:
                late = [r for r in waiting.ranks if r not in waiting.came]
                lines = [f"timed out waiting for {', '.join(f'rank {r}' for r in late)}"]
                lines += [f"  rank {r} waits in {c[1].told()}" for r, c in waiting.came.items()]
                for rank in late:
                    last = self.peers[rank].last if rank in self.peers else ""
                    lines.append(f"  rank {rank}'s last call was {last or 'none'}")
                self._fail(waiting, "\n".join(lines), key)
        for item in list(self.receivers):
            header, rank, deadline = item
            if now > deadline:
                self.receivers.remove(item)
                text = f"timed out in recv() from rank {header['peer']} at {header['line']}"
                self._send(rank, {"number": header["number"], "error": text})


# ---- a rank's end --------------------------------------------------------------------------


class Link:
    """A rank's connection to the hub. Requests are numbered; answers may come in any order."""

    def __init__(
        self,
        find: Callable[[], tuple[str, int] | None],
        rank: int,
        world_size: int,
        who: str,
        timeout: float,
    ) -> None:
        self.rank = rank
        self.lock = threading.RLock()
        self.answers: dict[int, tuple[dict[str, Any], list[np.ndarray]]] = {}
        self.incoming = _Incoming()
        self.count = 0
        self.connection = _connected(find, time.monotonic() + timeout)
        _patient(self.connection)
        self._send({"kind": "hello", "rank": rank, "world_size": world_size, "who": who})
        self.connection.settimeout(timeout)
        try:
            self.wait(0)
        except TimeoutError:
            raise DistNetworkError(
                f"rank {rank} waited {timeout:g} s for all {world_size} ranks to come"
            ) from None
        self.connection.settimeout(None)  # the hub keeps the time from here on

    def _send(self, header: dict[str, Any], arrays: Sequence[np.ndarray] = ()) -> None:
        for part in frame(header, arrays):
            self.connection.sendall(part)

    def ask(self, header: dict[str, Any], arrays: Sequence[np.ndarray] = ()) -> int:
        """Send a request; its number, to wait for."""
        with self.lock:
            self.count += 1
            try:
                self._send({**header, "number": self.count}, arrays)
            except OSError as error:
                raise self._gone() from error
            return self.count

    def wait(self, number: int) -> tuple[dict[str, Any], list[np.ndarray]]:
        """The answer to a request. DistBackendError with what the hub says is wrong."""
        with self.lock:
            while number not in self.answers:
                self._take()
            header, arrays = self.answers.pop(number)
        if "error" in header:
            raise DistBackendError(header["error"])
        return header, arrays

    def has(self, number: int) -> bool:
        """Whether an answer has come."""
        with self.lock, selectors.DefaultSelector() as selector:
            selector.register(self.connection, selectors.EVENT_READ)
            while number not in self.answers and selector.select(0):
                self._take()
            return number in self.answers

    def _take(self) -> None:
        try:
            for header, payload in self.incoming.take(self.connection):
                self.answers[header["number"]] = (header, _arrays(header, payload))
        except TimeoutError:
            raise
        except (EOFError, OSError) as error:
            raise self._gone() from error

    def _gone(self) -> DistBackendError:
        return DistBackendError(
            "rank 0, through which the ranks talk, has gone: its process has ended or cannot be "
            f"reached\n  this is rank {self.rank}"
        )

    def leave(self, why: str) -> None:
        """Say goodbye and close."""
        with self.lock:
            with contextlib.suppress(OSError):  # there may be no one to tell
                self._send({"kind": "bye", "why": why})
            self.connection.close()


def _connected(find: Callable[[], tuple[str, int] | None], deadline: float) -> socket.socket:
    """A connection to the hub, which may not listen yet, or not have said where."""
    while True:
        address, error = find(), None
        try:
            if address is not None:
                left = max(1.0, deadline - time.monotonic())
                return socket.create_connection(address, timeout=left)
        except OSError as why:
            error = why
        if time.monotonic() > deadline:
            where = (
                "there is no address yet" if address is None else f"at {address[0]}:{address[1]}"
            )
            raise DistNetworkError(f"rank 0 cannot be reached: {where}: {error}") from error
        time.sleep(0.02)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens where the others will look: at ``host`` if that is an address of this
    machine, else at all. DistNetworkError where it cannot."""
    try:
        try:
            return socket.create_server((host, port), backlog=1024)
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:
                raise
            return socket.create_server(("", port), backlog=1024)
    except OSError as error:
        raise DistNetworkError(
            f"The server socket has failed to listen on {host}:{port}: {error}\n"
            "  is another run still there? choose another MASTER_PORT"
        ) from error
