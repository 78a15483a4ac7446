#!/usr/bin/env python3
"""Hold ``flambeau.compile`` against eager flambeau, on PyTorch's sample inputs.

Every operation runs as a function of its sample's tensors: three times compiled (captured, built,
replayed) and as often eagerly, each time with the same seed and with new numbers. Values, dtypes,
shapes, strides, gradients and what was written into the arguments must agree. Each operation runs
in a process of its own, so that a crash is seen. Needs an environment that holds PyTorch too, and
the parity scripts' folder.

    python .ci/opinfo_compiled.py --parity FOLDER                     operations of core_ops.txt
    python .ci/opinfo_compiled.py --parity FOLDER --ops add,linalg.*  only these
    python .ci/opinfo_compiled.py --parity FOLDER --spread            units spread over two threads
    python .ci/opinfo_compiled.py --parity FOLDER --inplace           x.add_ on the caller's tensors
"""

from __future__ import annotations

import argparse
import faulthandler
import fnmatch
import gc
import json
import os
import signal
import sys
import traceback
import warnings
from typing import Any

import numpy as np


def options_of() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--parity", required=True, help="the folder of opinfo.py and bridge.py")
    parser.add_argument("--ops", default="@core_ops.txt")
    parser.add_argument("--dtypes", default="float32,int64,bool")
    parser.add_argument("--samples", type=int, default=12, help="most samples of one dtype")
    parser.add_argument("--noncontiguous", action="store_true")
    parser.add_argument("--inplace", action="store_true")
    parser.add_argument("--spread", action="store_true")
    parser.add_argument("--seconds", type=int, default=60, help="for one operation")
    parser.add_argument("--show", type=int, default=3, help="findings shown of one operation")
    parser.add_argument("--json", help="write the findings here")
    parser.add_argument("--part", default="0/1", help="K/N: every N-th operation from the K-th")
    return parser.parse_args()


class Sample:
    """One sample: the tensors in it, and a function of them."""

    def __init__(self, fn: Any, args: tuple, kwargs: dict, kit: Any) -> None:
        self.kit = kit
        self.fn, self.structure = fn, (args, kwargs)
        self.tensors = list(kit.bridge.tensors_in(self.structure, kit.fl))

    def rebuilt(self, tensors: list, value: Any = None, top: bool = True) -> Any:
        value, it = (self.structure, iter(tensors)) if top else (value, tensors)
        if isinstance(value, self.kit.fl.Tensor):
            return next(it)
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return type(value)(*(self.rebuilt(it, v, False) for v in value))
        if isinstance(value, (list, tuple)):
            return type(value)(self.rebuilt(it, v, False) for v in value)
        if isinstance(value, dict):
            return {k: self.rebuilt(it, v, False) for k, v in value.items()}
        return value

    def function(self, grad: bool) -> Any:
        fl, tensors_in = self.kit.fl, self.kit.bridge.tensors_in

        def run(*tensors: Any) -> Any:
            args, kwargs = self.rebuilt(list(tensors))
            out = self.fn(*args, **kwargs)
            if not grad:
                return out
            roots = [
                t for t in tensors_in(out, fl) if t.requires_grad and t.dtype.is_floating_point
            ]
            leaves = [t for t in tensors if t.requires_grad]
            if not roots or not leaves:
                return out
            # 16 bits are rounded at every operation eagerly, and once where operations are fused.
            roots = [r.float() if r.dtype.itemsize < 4 else r for r in roots]
            total = sum((r * r * 0.5 + r).sum() for r in roots)
            return out, fl.autograd.grad(total, leaves, allow_unused=True)

        return run


def copies(tensors: list, turn: int, kit: Any) -> list:
    """The same tensors again: same layout, numbers a little different at each turn."""
    fl, made = kit.fl, []
    for t in tensors:
        d = t.detach()
        twin = (
            fl.empty_strided(tuple(t.shape), t.stride(), dtype=t.dtype) if t.numel() else d.clone()
        )
        if t.numel() and all(t.stride()):
            extent = 1 + sum((n - 1) * s for n, s in zip(t.shape, t.stride()))
            twin.as_strided((extent,), (1,)).zero_()  # as_strided reads between the elements
        if not t.is_sparse and t.numel():
            twin = twin if 0 in t.stride() else twin.copy_(d)
            if 0 in t.stride():
                twin = d.clone()
        if turn and t.dtype.is_floating_point:
            twin = twin.mul_(1.0 - turn / 64)
        made.append(twin.requires_grad_(t.requires_grad))
    return made


def layout(value: Any, kit: Any) -> list:
    return [
        (
            tuple(t.shape),
            t.numel() and tuple(s for n, s in zip(t.shape, t.stride()) if n != 1),
            t.requires_grad,
            t.is_leaf,
        )
        for t in kit.bridge.tensors_in(value, kit.fl)
    ]


def once(function: Any, tensors: list, kit: Any) -> Any:
    kit.fl.manual_seed(1234)
    return function(*tensors)


def check(sample: Sample, grad: bool, kit: Any, where: str, found: list) -> None:
    fl, bridge = kit.fl, kit.bridge
    function = sample.function(grad)
    compiled = fl.compile(sample.function(grad))
    for turn in range(3):
        theirs, ours = copies(sample.tensors, turn, kit), copies(sample.tensors, turn, kit)
        try:
            want = once(function, theirs, kit)
        except Exception as error:
            want = error
            if turn == 0:
                return
        try:
            got = once(compiled, ours, kit)
        except Exception as error:
            if isinstance(want, Exception) and type(want) is type(error):
                continue
            last = traceback.extract_tb(error.__traceback__)[-1]
            at = f"{os.path.basename(last.filename)}:{last.lineno}"
            text = f"turn {turn}: {type(error).__name__}: {error} ({at})"
            found.append((where, "error", text[:400]))
            return
        if isinstance(want, Exception):
            found.append((where, "no error", f"turn {turn}: {type(want).__name__}: {want}"[:300]))
            return
        try:
            bridge.compare(
                bridge.to_numpy(want, fl),
                bridge.to_numpy(got, fl),
                "out",
                shapes_only=kit.shapes_only,
                exact=False,
            )
            bridge.compare(
                bridge.to_numpy(theirs, fl),
                bridge.to_numpy(ours, fl),
                "arguments",
                shapes_only=kit.shapes_only,
            )
            if layout(want, kit) != layout(got, kit):
                raise bridge.Mismatch(f"layout {layout(want, kit)} wanted, got {layout(got, kit)}")
        except bridge.Mismatch as error:
            found.append((where, "differs", f"turn {turn}: {error}"[:400]))
            return
    if not compiled.variants:
        found.append((where, "eager", (compiled.reasons or [compiled.given_up])[0][:200]))


def run_op(op: Any, options: argparse.Namespace, kit: Any) -> dict:
    torch, fl = kit.torch, kit.fl
    found: list = []
    count = 0
    kit.shapes_only = op.name in kit.opinfo.UNINITIALISED
    try:
        fn = kit.opinfo.resolve(fl, op.name, torch)
    except AttributeError:
        return {"samples": 0, "found": []}
    method = getattr(op.inplace_variant, "__name__", None) if op.inplace_variant else None
    if options.inplace:
        if method is None:
            return {"samples": 0, "found": []}
        fn = lambda x, *a, **k: getattr(x, method)(*a, **k)
    for name in options.dtypes.split(","):
        dtype = getattr(torch, name)
        if not op.supports_dtype(dtype, "cpu"):
            continue
        grad = dtype.is_floating_point and op.supports_autograd and not options.inplace
        torch.manual_seed(0)
        np.random.seed(0)
        samples = list(op.sample_inputs("cpu", dtype, requires_grad=grad))
        step = max(1, len(samples) // options.samples)
        for index, s in list(enumerate(samples))[::step]:
            if options.noncontiguous:
                s = s.noncontiguous()
            if options.inplace and s.broadcasts_input:
                continue
            try:
                args, kwargs = kit.bridge.to_other(((s.input, *s.args), dict(s.kwargs)), torch, fl)
                sample = Sample(fn, args, kwargs, kit)
            except Exception:
                continue
            count += 1
            kit.where = f"{name}#{index}"
            print(kit.where, file=sys.stderr)
            try:
                check(sample, grad, kit, kit.where, found)
            except Exception as error:
                last = traceback.extract_tb(error.__traceback__)[-1]
                at = f"{last.filename}:{last.lineno}"
                found.append((kit.where, "script", f"{type(error).__name__}: {error} ({at})"))
    return {"samples": count, "found": found}


class Kit:
    """The modules that a check needs."""

    def __init__(self, folder: str) -> None:
        sys.path.insert(0, folder)
        import bridge
        import opinfo
        import torch

        import flambeau

        self.bridge, self.opinfo, self.torch, self.fl = bridge, opinfo, torch, flambeau
        self.shapes_only, self.where = False, ""


def in_child(op: Any, options: argparse.Namespace, kit: Any) -> dict:
    """The findings of one operation, by a forked process."""
    read, write = os.pipe()
    log = os.memfd_create("log")
    child = os.fork()
    if child == 0:
        os.close(read)
        os.dup2(log, 2)
        gc.freeze()  # each capture looks for tensors among all objects: not among PyTorch's
        faulthandler.enable()
        faulthandler.dump_traceback_later(options.seconds - 1)
        signal.alarm(options.seconds)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                answer = run_op(op, options, kit)
            except BaseException as error:
                answer = {"samples": 1, "found": [("", "script", repr(error))]}
        with os.fdopen(write, "w") as f:
            json.dump(answer, f, default=str)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as f:
        text = f.read()
    _, status = os.waitpid(child, 0)
    if status or not text:
        os.lseek(log, 0, 0)
        said = os.read(log, 1 << 20).decode(errors="replace")
        kind = "hangs" if os.WTERMSIG(status) == signal.SIGALRM else "crash"
        said = "\n".join(said.splitlines()[-25:])
        answer = {"samples": 1, "found": [("", kind, f"status {status}: {said}")]}
    else:
        answer = json.loads(text)
    os.close(log)
    return answer


def main() -> int:
    options = options_of()
    kit = Kit(options.parity)
    from torch.testing._internal.common_methods_invocations import op_db

    from flambeau.compiler import chains, native, segment_text

    native.strict = True
    kit.fl.set_num_threads(2 if options.spread else 1)
    if options.spread:
        native.SPREAD = segment_text.SPREAD_UNIT = 0.0
        chains.ROWS = 4
    patterns = options.ops.split(",")
    if patterns[0].startswith("@"):
        with open(os.path.join(options.parity, patterns[0][1:])) as f:
            patterns = [x.strip() for x in f if x.strip() and not x.startswith("#")]
    excluded = kit.opinfo.EXCLUDED
    chosen = [
        op for op in op_db
        if op.name not in excluded and not op.name.startswith(kit.opinfo.EXCLUDED_PREFIXES)
        and op.variant_test_name != "partial_views"
        and any(fnmatch.fnmatchcase(op.name, p) for p in patterns)
    ]  # fmt: skip
    k, n = map(int, options.part.split("/"))
    chosen = chosen[k::n]
    everything, bad, samples = {}, 0, 0
    for op in chosen:
        label = op.name + ("." + op.variant_test_name if op.variant_test_name else "")
        answer = in_child(op, options, kit)
        samples += answer["samples"]
        everything[label] = answer
        wrong = [f for f in answer["found"] if f[1] != "eager"]
        bad += bool(wrong)
        shown = wrong or answer["found"]
        for where, kind, text in shown[: options.show]:
            print(
                f"{kind.upper()} {label} {where} ({len(shown)}/{answer['samples']}): {text}",
                flush=True,
            )
    if options.json:
        with open(options.json, "w") as f:
            json.dump(everything, f, indent=1)
    print(f"operations {len(chosen) - bad}/{len(chosen)}   samples {samples}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
