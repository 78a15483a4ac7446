"""A device without a GPU: NumPy in the place of CuPy, as strict as CuPy is.

Its arrays refuse to meet NumPy's, and their elements are not where the tensors' addresses say:
nobody may read there, so that code which reads a GPU's memory by itself ends the process, as it
would with a GPU.
"""

from __future__ import annotations

import itertools
import time
import weakref
from contextlib import AbstractContextManager, nullcontext
from types import ModuleType
from typing import Any

import numpy as np
import philox

from flambeau import _optional
from flambeau._devices.services import Figures, buffer_of, out_of_memory
from flambeau.compiler import gpu_simulator
from flambeau.ops import scalar_math


class _Addresses:
    """Addresses that no processor reads, each given away once."""

    next = 1 << 60

    @classmethod
    def take(cls, size: int) -> int:
        """Where the next ``size`` bytes begin."""
        place = cls.next
        cls.next += (size + 127) // 64 * 64
        return place


_memories: weakref.WeakSet[Memory] = weakref.WeakSet()


class _Recording:
    """Whether something is being recorded, or run that was."""

    now = False


class Memory:
    """Bytes whose address is not where they are."""

    used = peak = 0  # bytes of all that there are, and the most that there were

    def __init__(self, size: int) -> None:
        self.size = size
        Memory.used += size
        Memory.peak = max(Memory.peak, Memory.used)
        weakref.finalize(self, Memory.end, size)
        self.bytes = np.full(max(size, 1), 0xA5, np.uint8)
        self.ptr = _Addresses.take(size)
        self.passing = _Recording.now  # a recording's own: elsewhere each time, here
        _memories.add(self)

    @classmethod
    def end(cls, size: int) -> None:
        """``size`` bytes are given back."""
        cls.used -= size


def _unwrapped(value: Any, strict: bool = True) -> Any:
    if isinstance(value, Array):
        return value._a
    if isinstance(value, np.ndarray) and strict:
        raise TypeError(f"Unsupported type {type(value)}")
    if type(value) in (tuple, list):
        return type(value)(_unwrapped(v, strict) for v in value)
    if isinstance(value, dict):
        return {k: _unwrapped(v, strict) for k, v in value.items()}
    return value


def _wrapped(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return Array(value)
    if type(value) in (tuple, list):
        return type(value)(map(_wrapped, value))
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(_wrapped, value))
    return value


class Array(np.lib.mixins.NDArrayOperatorsMixin):
    """An array of the device."""

    __array_priority__ = 100

    def __init__(self, array: Any, memory: Memory | None = None) -> None:
        self._a = np.asarray(array)
        self._memory = memory

    def home(self) -> tuple[Memory, int]:
        """Its memory and address: made when they are first asked for, by moving the elements."""
        if self._memory is None:
            a = self._a
            root = a
            while isinstance(root.base, np.ndarray):
                root = root.base
            known = _homes.get(id(root))
            if known is None:
                known = Memory(0)
                known.bytes, known.size = root.ravel(order="K").view(np.uint8), root.nbytes
                known.ptr = _Addresses.take(root.nbytes)
                _homes[id(root)] = known
            self._memory = known
        start = self._memory.bytes.ctypes.data
        return self._memory, self._memory.ptr + self._a.ctypes.data - start

    @property
    def __cuda_array_interface__(self) -> dict:
        shape, strides = self._a.shape, self._a.strides
        place = self.home()[1]
        return {"shape": shape, "strides": strides, "typestr": self._a.dtype.str,
                "data": (place, False), "version": 3}  # fmt: skip

    def __dlpack__(self, **options: Any) -> Any:
        return self

    def __dlpack_device__(self) -> tuple[int, int]:
        return (2, 0)

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *args: Any, **kwargs: Any) -> Any:
        with np.errstate(all="ignore"):
            r = getattr(ufunc, method)(*_unwrapped(args), **_unwrapped(kwargs))
        if "out" in kwargs:
            return kwargs["out"][0]
        return _wrapped(r)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if any(issubclass(t, np.ndarray) for t in types):
            raise TypeError(f"{func.__name__}: Unsupported type <class 'numpy.ndarray'>")
        with np.errstate(all="ignore"):
            return _wrapped(func(*_unwrapped(args, False), **_unwrapped(kwargs, False)))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = getattr(self._a, name)
        if not callable(found):
            return _wrapped(found) if isinstance(found, np.ndarray) else found

        def method(*args: Any, **kwargs: Any) -> Any:
            with np.errstate(all="ignore"):
                return _wrapped(found(*_unwrapped(args), **_unwrapped(kwargs)))

        return method

    @property
    def real(self) -> Any:
        """A view of the real parts, which can be written to."""
        return Array(self._a.real)

    @real.setter
    def real(self, value: Any) -> None:
        self._a.real = _unwrapped(value)

    @property
    def imag(self) -> Any:
        """A view of the imaginary parts, which can be written to."""
        return Array(self._a.imag)

    @imag.setter
    def imag(self, value: Any) -> None:
        self._a.imag = _unwrapped(value)

    def __getitem__(self, key: Any) -> Any:
        return Array(self._a[_unwrapped(key, False)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self._a[_unwrapped(key, False)] = _unwrapped(value)

    def __len__(self) -> int:
        return len(self._a)

    def __bool__(self) -> bool:
        return bool(self._a)

    def __float__(self) -> float:
        return float(self._a)

    def __int__(self) -> int:
        return int(self._a)

    def __index__(self) -> int:
        return self._a.__index__()

    def __iter__(self) -> Any:
        return map(Array, self._a)

    def item(self, *args: int) -> Any:
        """The only element."""
        return self._a.item(*args)

    def tolist(self) -> Any:
        """Nested lists."""
        return self._a.tolist()

    def get(self) -> np.ndarray:
        """A copy for the CPU."""
        return self._a.copy(order="K")


_homes: dict[int, Memory] = {}  # roots are kept, so that an id stays one


class _Ufunc:
    """One of NumPy's, on the device's arrays and no others."""

    def __init__(self, ufunc: np.ufunc) -> None:
        self.ufunc = ufunc

    def _run(self, method: str, args: Any, kwargs: Any) -> Any:
        with np.errstate(all="ignore"):
            return _wrapped(getattr(self.ufunc, method)(*_unwrapped(args), **_unwrapped(kwargs)))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._run("__call__", args, kwargs)

    def at(self, *args: Any) -> None:
        """Write into the first operand at the places that the second names."""
        self._run("at", args, {})


class _Module(ModuleType):
    """NumPy's functions, on the device's arrays and no others."""

    ndarray = Array

    def __getattr__(self, name: str) -> Any:
        found = getattr(np, name)
        if isinstance(found, type) or not callable(found):
            return found
        if isinstance(found, np.ufunc):
            return _Ufunc(found)

        def function(*args: Any, **kwargs: Any) -> Any:
            with np.errstate(all="ignore"):
                return _wrapped(found(*_unwrapped(args), **_unwrapped(kwargs)))

        return function


TOTAL = 2**30  # bytes of the device's memory


class Event:
    """A mark: work is done as soon as it is asked for."""

    time = 0.0
    done = True

    def record(self, stream: Any = None) -> None:
        self.time = time.perf_counter()

    def synchronize(self) -> None:
        pass


class Stream:
    """A queue of work."""

    done = True
    numbers = itertools.count(1000)

    def __init__(self, priority: int = 0, ptr: int | None = None) -> None:
        self.priority = priority
        self.ptr = next(Stream.numbers) if ptr is None else ptr
        self.waits: list[Event] = []

    def synchronize(self) -> None:
        pass

    def record(self, event: Event | None = None) -> Event:
        event = event or Event()
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        self.waits.append(event)


class Pinned(bytearray):
    """Memory of the CPU that the device reads by itself."""


def _special(function: Any) -> Any:
    """A function of ``ops`` on the device's arrays."""
    return staticmethod(lambda x: _wrapped(function(_unwrapped(x))))


class _Special:
    """In the place of SciPy's special functions: the library's own."""

    erf, erfc = _special(scalar_math.erf), _special(scalar_math.erfc)
    erfinv, gammaln = _special(scalar_math.erfinv), _special(scalar_math.lgamma)


class StandIn:
    """See flambeau._devices.backend.Backend."""

    def __init__(self) -> None:
        self.xp = _Module("stand_in")
        self.came: list = []  # what memory it touched
        self.first = self.queue = Stream(0, 0)
        self.emptied = self.most = 0
        self.marks: list[str] = []

    def memory(self, size: int) -> Memory:
        if size > (self.most or TOTAL):
            raise out_of_memory(size, self.figures())
        return Memory(size)

    def seen(self, memory: Memory, offset: int, shape: Any, dtype: Any, strides: Any) -> Array:
        return Array(np.ndarray(shape, dtype, memory.bytes, offset, strides), memory)

    def memory_of(self, array: Array) -> tuple[Memory, int]:
        return array.home()

    def to_host(self, array: Array) -> np.ndarray:
        if _Recording.now:
            raise RuntimeError("cudaErrorStreamCaptureUnsupported")
        return array.get()

    def to_device(self, array: np.ndarray) -> Array:
        if _Recording.now:
            raise NotImplementedError("an array of the CPU is sent to the GPU")
        return Array(np.array(array, order="K", copy=True))

    def is_own(self, array: Any) -> bool:
        return isinstance(array, Array)

    @property
    def special(self) -> Any:
        return _Special

    def elementwise(self, operands: Any, results: Any, text: str) -> Any:
        for name in (*operands, *results):
            if name in ("i", "n") or name.startswith("_"):
                raise ValueError(f"Can not use '{name}' as a parameter name")
        code = compile(text, "elementwise", "exec")

        def launch(*arrays: Array) -> None:
            names = dict(zip(operands, [a._a for a in arrays]))
            names.update(exp=np.exp, tanh=np.tanh, erf=scalar_math.erf, choose=np.where)
            names["T"] = arrays[0].dtype.type
            with np.errstate(all="ignore"):
                exec(code, names)
            for name, out in zip(results, arrays[len(operands) :], strict=True):
                out._a[...] = names[name]

        return launch

    def raising(self) -> AbstractContextManager:
        return nullcontext()

    def synchronize(self) -> None:
        pass

    # ---- programs ----------------------------------------------------------------------------

    def functions(self, forms: Any, text: Any) -> Any:
        def launched(form: Any) -> Any:
            def launch(places: Any) -> None:
                self._came(places)
                arrays, dtypes = [], [*form.buffers, np.dtype(np.float64)]
                for (memory, start), dtype in zip(places, dtypes, strict=True):
                    rest = memory.bytes[start:]
                    arrays.append(rest[: rest.size // dtype.itemsize * dtype.itemsize].view(dtype))
                gpu_simulator.simulate(form, arrays[:-1], arrays[-1])

            def prepared(places: Any) -> Any:
                if _Recording.now:
                    raise AssertionError("a bundle is prepared while something is recorded")

                def all_of_them() -> None:
                    rest = list(places)
                    for kernel, count in form.parts:
                        function = launched(kernel)
                        size = len(kernel.buffers) + 1
                        for _ in range(count):
                            function(rest[:size])
                            del rest[:size]

                return all_of_them

            return prepared if hasattr(form, "parts") else launch

        if forms and _optional.installed("llvmlite"):
            text(forms, "sm_90")  # or Refused
        return [launched(form) for form in forms]

    def product(self, a: Array, b: Array, out: Array) -> None:
        self._came([x.home() for x in (a, b, out)])
        with np.errstate(all="ignore"):
            np.matmul(a._a, b._a, out=out._a)

    def send(self, memory: Memory, data: np.ndarray) -> None:
        memory.bytes[: data.nbytes] = data

    def pool(self) -> None:
        return None

    def record(self, work: Any, pool: Any) -> Any:
        """The work is done for its errors and its places, and what it wrote taken back."""
        before = [(m, m.bytes.copy()) for m in list(_memories)]
        self.came, _Recording.now = [], True
        try:
            work()
        finally:
            _Recording.now = False
            for m, held in before:
                m.bytes[...] = held
        places = self.came

        def launch() -> None:
            self.came, _Recording.now = [], True
            try:
                work()
            finally:
                _Recording.now = False
            for then, now in zip(places, self.came, strict=True):
                for (m, start), (n, begin) in zip(then, now, strict=True):
                    if not m.passing and (m is not n or start != begin):
                        raise AssertionError("a recording would touch memory that it does not know")

        return launch

    def _came(self, places: Any) -> None:
        if _Recording.now:
            self.came.append(list(places))

    # ---- services ------------------------------------------------------------------------------

    def properties(self) -> dict[str, Any]:
        return {
            "name": "Stand-in", "major": 9, "minor": 0, "totalGlobalMem": TOTAL,
            "multiProcessorCount": 2, "maxThreadsPerMultiProcessor": 512, "warpSize": 32,
            "maxThreadsPerBlock": 1024, "regsPerMultiprocessor": 65536, "l2CacheSize": 2**20,
            "sharedMemPerBlock": 49152, "sharedMemPerMultiprocessor": 2**17, "integrated": 0,
            "sharedMemPerBlockOptin": 2**17, "isMultiGpuBoard": 0, "clockRate": 10**6,
            "memoryClockRate": 10**6, "memoryBusWidth": 4096, "pciBusID": 1, "pciDeviceID": 0,
            "pciDomainID": 0, "uuid": bytes(range(16)),
        }  # fmt: skip

    def figures(self) -> Figures:
        used, peak = Memory.used, Memory.peak
        return Figures(used, peak, used, peak, TOTAL - used, TOTAL)

    def reset_peak(self) -> None:
        Memory.peak = Memory.used

    def empty_cache(self) -> None:
        self.emptied += 1

    def limit(self, size: int) -> None:
        self.most = size

    def synchronize_all(self) -> None:
        pass

    def stream(self, priority: int) -> Stream:
        return Stream(priority)

    def stream_at(self, pointer: int) -> Stream:
        return Stream(0, pointer)

    def current_stream(self) -> Stream:
        return self.queue

    def default_stream(self) -> Stream:
        return self.first

    def use_stream(self, stream: Stream) -> None:
        self.queue = stream

    def event(self, timing: bool, blocking: bool) -> Event:
        return Event()

    def elapsed(self, start: Event, end: Event) -> float:
        return (end.time - start.time) * 1e3

    def mark(self, text: str) -> None:
        self.marks.append(text)

    range_push = mark

    def range_pop(self) -> None:
        self.marks.append("end")

    def pinned(self, size: int) -> Pinned:
        return Pinned(size)

    def is_pinned(self, owner: np.ndarray) -> bool:
        return isinstance(buffer_of(owner), Pinned)

    def hold(self, memory: Memory, stream: Stream) -> None:
        self.held = memory, stream.record()

    def foreign(self, data: Any) -> Array:
        return data if isinstance(data, Array) else data._array  # DLPack is the GPU's alone

    def resident_blocks(self) -> int:
        return 4

    def random(
        self,
        recipe: str,
        dtype: np.dtype,
        count: int,
        side: int,
        blocks: int,
        seed: int,
        first: int,
        parameters: Any,
        out: Array | None = None,
    ) -> Array:
        """See flambeau._devices.services."""
        made = philox.draw(recipe, dtype, count, side, blocks, seed, first, parameters)
        made = made.view(np.uint16) if dtype.kind == "V" else made
        if out is None:
            return Array(made)
        assert out._a.shape == made.shape and out._a.flags.c_contiguous
        out._a[...] = made
        return out
