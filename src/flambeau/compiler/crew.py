"""Threads that wait awake for machine code to run: a crew.

To wake a thread takes the system 50 us and more, as long as many a kernel runs. So the workers of
``core.threads`` do not sleep at once when their work is done: for ``PATIENCE`` turns they watch a
place in memory, without Python and its lock, and what is put there they begin within a
microsecond. A job is a task (``machine_code.Task``) with its arguments, and a range cut into
chunks; whoever has nothing to do takes the next chunk, the calling thread from the front and the
workers from the back, so that what one job leaves in a processor's caches, the next one mostly
finds there::

    ticket    chunks << 40 | from the back << 20 | from the front     by compare-and-exchange
    task, arguments, length, size                       valid while a chunk of the job is not done
    done      chunks that are finished
    busy      1 while somebody's job is on: it is set by compare-and-exchange, so that Python needs
              no lock of its own
    leave     changes when the workers are wanted for Python
    awake     workers that watch

A worker that stops watching first says so (``awake``) and then looks at the ticket once more; the
caller first sets the ticket and then looks at ``awake``: no job is overlooked by both.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import time
from collections.abc import Sequence

from ..core import threads
from . import machine_code

#: Turns of about 25 ns for which a worker watches before it sleeps; every 64th lets others run.
#: As long as BLAS's threads and OpenMP's do: the next product of a step comes within.
PATIENCE = 80_000
#: Places in the crew's memory, in 64-bit integers: what different threads write lies apart.
_TASK, _ARGUMENTS, _LENGTH, _SIZE, _DONE, _LEAVE, _AWAKE = 16, 17, 18, 19, 32, 48, 64
_BUSY, _MEMORY = 80, 96
MOST_CHUNKS = (1 << 20) - 1

_TEXT = f"""
declare i32 @flambeau_yield()
declare i32 @flambeau_nap(i32)

define i64 @take(ptr %crew, i1 %front) {{
entry:
  %one = select i1 %front, i64 1, i64 {1 << 20}
  br label %look
look:
  %ticket = load atomic i64, ptr %crew seq_cst, align 8
  %before = and i64 %ticket, {MOST_CHUNKS}
  %shifted = lshr i64 %ticket, 20
  %behind = and i64 %shifted, {MOST_CHUNKS}
  %chunks = lshr i64 %ticket, 40
  %left = sub i64 %chunks, %behind
  %open = icmp ult i64 %before, %left
  br i1 %open, label %claim, label %none
claim:
  %last = sub i64 %left, 1
  %chunk = select i1 %front, i64 %before, i64 %last
  %next = add i64 %ticket, %one
  %pair = cmpxchg ptr %crew, i64 %ticket, i64 %next seq_cst seq_cst
  %won = extractvalue {{ i64, i1 }} %pair, 1
  br i1 %won, label %mine, label %look
mine:
  ret i64 %chunk
none:
  ret i64 -1
}}

define void @do(ptr %crew, i64 %chunk) {{
entry:
  %task_at = getelementptr i64, ptr %crew, i64 {_TASK}
  %task = load ptr, ptr %task_at
  %arguments_at = getelementptr i64, ptr %crew, i64 {_ARGUMENTS}
  %arguments = load ptr, ptr %arguments_at
  %length_at = getelementptr i64, ptr %crew, i64 {_LENGTH}
  %length = load i64, ptr %length_at
  %size_at = getelementptr i64, ptr %crew, i64 {_SIZE}
  %size = load i64, ptr %size_at
  %start = mul i64 %chunk, %size
  %end = add i64 %start, %size
  %last = icmp slt i64 %length, %end
  %stop = select i1 %last, i64 %length, i64 %end
  call void %task(ptr %arguments, i64 %start, i64 %stop)
  %done = getelementptr i64, ptr %crew, i64 {_DONE}
  %before = atomicrmw add ptr %done, i64 1 seq_cst
  ret void
}}

define void @serve(ptr %crew) {{
entry:
  %awake = getelementptr i64, ptr %crew, i64 {_AWAKE}
  %leave = getelementptr i64, ptr %crew, i64 {_LEAVE}
  %asked = load atomic i64, ptr %leave seq_cst, align 8
  br label %enter
enter:
  %0 = atomicrmw add ptr %awake, i64 1 seq_cst
  br label %look
look:
  %turn = phi i64 [ 0, %enter ], [ 0, %work ], [ %turns, %relax ], [ %turns, %yield ]
  %chunk = call i64 @take(ptr %crew, i1 false)
  %some = icmp sge i64 %chunk, 0
  br i1 %some, label %work, label %idle
work:
  call void @do(ptr %crew, i64 %chunk)
  br label %look
idle:
  %turns = add i64 %turn, 1
  %now = load atomic i64, ptr %leave seq_cst, align 8
  %called = icmp ne i64 %now, %asked
  %tired = icmp sgt i64 %turns, {PATIENCE}
  %over = or i1 %called, %tired
  br i1 %over, label %go, label %relax
relax:
  PAUSE
  %part = and i64 %turns, 63
  %often = icmp eq i64 %part, 0
  br i1 %often, label %yield, label %look
yield:
  %1 = call i32 @flambeau_yield()
  br label %look
go:
  %2 = atomicrmw sub ptr %awake, i64 1 seq_cst
  %late = call i64 @take(ptr %crew, i1 false)
  %more = icmp sge i64 %late, 0
  br i1 %more, label %back, label %out
back:
  call void @do(ptr %crew, i64 %late)
  br label %enter
out:
  ret void
}}

define void @work(ptr %crew) {{
entry:
  %ticket = load atomic i64, ptr %crew seq_cst, align 8
  %chunks = lshr i64 %ticket, 40
  %done = getelementptr i64, ptr %crew, i64 {_DONE}
  br label %look
look:
  %chunk = call i64 @take(ptr %crew, i1 true)
  %some = icmp sge i64 %chunk, 0
  br i1 %some, label %work, label %wait
work:
  call void @do(ptr %crew, i64 %chunk)
  br label %look
wait:
  %turn = phi i64 [ 0, %look ], [ %turns, %relax ], [ 0, %nap ]
  %turns = add i64 %turn, 1
  %now = load atomic i64, ptr %done seq_cst, align 8
  %all = icmp eq i64 %now, %chunks
  br i1 %all, label %out, label %again
again:
  %patient = icmp slt i64 %turns, TURNS
  br i1 %patient, label %relax, label %nap
relax:
  PAUSE
  br label %wait
nap:
  %0 = call i32 @flambeau_nap(i32 1)
  br label %wait
out:
  %busy = getelementptr i64, ptr %crew, i64 {_BUSY}
  store atomic i64 0, ptr %busy seq_cst, align 8
  ret void
}}

define i64 @run(ptr %crew, ptr %task, ptr %arguments, i64 %length, i64 %size, i64 %chunks,
    i64 %needed) {{
entry:
  %busy = getelementptr i64, ptr %crew, i64 {_BUSY}
  %pair = cmpxchg ptr %busy, i64 0, i64 1 seq_cst seq_cst
  %free = extractvalue {{ i64, i1 }} %pair, 1
  br i1 %free, label %set, label %others
others:
  ret i64 -1
set:
  %task_at = getelementptr i64, ptr %crew, i64 {_TASK}
  store ptr %task, ptr %task_at
  %arguments_at = getelementptr i64, ptr %crew, i64 {_ARGUMENTS}
  store ptr %arguments, ptr %arguments_at
  %length_at = getelementptr i64, ptr %crew, i64 {_LENGTH}
  store i64 %length, ptr %length_at
  %size_at = getelementptr i64, ptr %crew, i64 {_SIZE}
  store i64 %size, ptr %size_at
  %done = getelementptr i64, ptr %crew, i64 {_DONE}
  store atomic i64 0, ptr %done seq_cst, align 8
  %ticket = shl i64 %chunks, 40
  store atomic i64 %ticket, ptr %crew seq_cst, align 8
  %awake_at = getelementptr i64, ptr %crew, i64 {_AWAKE}
  %awake = load atomic i64, ptr %awake_at seq_cst, align 8
  %missing = sub i64 %needed, %awake
  %few = icmp sgt i64 %missing, 0
  br i1 %few, label %wanting, label %go
wanting:
  ret i64 %missing
go:
  call void @work(ptr %crew)
  ret i64 0
}}
"""


class Crew:
    """The workers' meeting place; there is one for the whole process (``crew()``)."""

    def __init__(self) -> None:
        code = machine_code.Code(_TEXT)
        pointer, integer = ctypes.c_void_p, ctypes.c_int64
        self._memory = (integer * _MEMORY)()
        self._at = ctypes.addressof(self._memory)
        self._serve = code.function("serve", [pointer])
        self._work = code.function("work", [pointer])
        self._run = code.function("run", [pointer] * 3 + [integer] * 4, integer)
        self._code = code

    def serve(self) -> None:
        """What a worker does until it is wanted elsewhere, or nothing has come for a while."""
        self._serve(self._at)

    def dismiss(self) -> None:
        """Let the workers come back to Python."""
        self._memory[_LEAVE] += 1

    def close(self) -> None:
        """At the end of the process: its code and memory go, so no worker may be there."""
        self.dismiss()
        while self._memory[_AWAKE]:
            time.sleep(1e-4)

    def forget(self) -> None:
        """In a forked child: there are no workers any more."""
        self._memory = (ctypes.c_int64 * _MEMORY)()
        self._at = ctypes.addressof(self._memory)

    def spread(
        self,
        task: machine_code.Task,
        given: Sequence,
        length: int,
        step: int = 1,
        chunks: int = 0,
    ) -> None:
        """``task(*given, start, stop)`` over range(length), cut at multiples of ``step`` into
        about ``chunks``; 0: four for each thread, for whoever comes first."""
        count = threads.at_hand()
        if count == 1 or length <= step:
            task(*given, 0, length)
            return
        size = -(-length // (chunks or 4 * count))
        size += -size % step
        packed = task.packed(given)
        chunks = -(-length // size)
        missing = self._run(self._at, task.entry, packed, length, size, chunks, count - 1)
        if missing > 0:
            try:
                threads.wake(missing)
            finally:  # whatever interrupts: others have begun
                self._work(self._at)
        elif missing:
            task(*given, 0, length)

    def together(self, task: machine_code.Task, given: Sequence, count: int) -> bool:
        """``task(*given, k, k + 1)`` for each k below ``count``, all at the same time, so that
        they may wait for each other; False, and nothing done, where that cannot be had now."""
        if threads.at_hand() < count:
            return False
        packed = task.packed(given)
        missing = self._run(self._at, task.entry, packed, count, 1, count, count - 1)
        if missing > 0:
            try:
                threads.wake_all(count - 1, lambda: self._memory[_AWAKE] >= count - 1)
            finally:
                self._work(self._at)
        return missing >= 0


@functools.cache
def crew() -> Crew:
    """The crew of this process."""
    threads.crew = Crew()
    atexit.register(threads.crew.close)
    return threads.crew


class Bound:
    """A task with its arguments: ``bound(start, stop)``. ``held`` owns memory that they lie in."""

    __slots__ = ("given", "held", "task")

    def __init__(self, task: machine_code.Task, given: Sequence, held: object = None) -> None:
        self.task = task
        self.given = given
        self.held = held

    def __call__(self, start: int, stop: int) -> None:
        self.task.function(*self.given, start, stop)

    def over(self, length: int, step: int = 1) -> None:
        """All of range(length), by all threads."""
        crew().spread(self.task, self.given, length, step)
