"""What tensors are and how they print: functions of the library, whose answers are compared.

``golden.json`` holds what PyTorch 2.13 answers; tests/golden.py records and compares.
"""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np

_DTYPES = (
    "float64 float32 float16 bfloat16 complex64 complex128 uint8 int8 int16 int32 int64 bool "
    "uint16 uint32 uint64"
).split()


def _or_error(f, *args):
    try:
        return str(f(*args))
    except Exception as error:
        return type(error).__name__


def promotion_table(t):
    return [
        [_or_error(t.promote_types, getattr(t, a), getattr(t, b)) for b in _DTYPES] for a in _DTYPES
    ]


def can_cast_table(t):
    return [[t.can_cast(getattr(t, a), getattr(t, b)) for b in _DTYPES] for a in _DTYPES]


def result_types(t):
    i, f, d = t.ones(2, dtype=t.int32), t.ones(2), t.ones(2, dtype=t.float64)
    i0, d0, c0 = t.tensor(1), t.tensor(1.0, dtype=t.float64), t.tensor(1j)
    b, u = t.tensor([True]), t.ones(2, dtype=t.uint8)
    pairs = [(i, 1), (i, 1.5), (i, True), (i, 1j), (f, 1), (f, d0), (f, c0), (i, d0), (i0, i),
             (i0, 2.0), (b, 1), (b, 1.5), (u, -1), (u, i0), (i, f), (f, d), (b, b), (d0, 1j),
             (f, 1j), (d, 1j), (u, i)]  # fmt: skip
    return [str(t.result_type(a, b)) for a, b in pairs] + [str((a * b).dtype) for a, b in pairs]


def arithmetic_types(t):
    i = t.tensor([5, -5])
    return [
        str((i / 2).dtype), str((i // 2).dtype), (i // 2), (i % 3), (i**2), str((i * 1.0).dtype),
        (7 // i), (7 % i), str((True + i).dtype), (i > 2), (2**i.abs()), (~i), (i << 1), -i,
        t.tensor([200], dtype=t.uint8) + 100, t.tensor([True]) + t.tensor([True]),
    ]  # fmt: skip


def limits(t):
    return (
        [repr(t.finfo(getattr(t, d))) for d in ("float64", "float32", "float16", "bfloat16")]
        + [repr(t.iinfo(getattr(t, d))) for d in ("int64", "uint8", "int16")]
        + [repr(t.finfo(t.complex64).eps)]
    )


def default_dtype(t):
    before = t.get_default_dtype()
    t.set_default_dtype(t.float64)
    try:
        seen = [str(t.tensor(1.5).dtype), str(t.ones(1).dtype), str((t.ones(1) * 1j).dtype)]
        seen += [repr(t.ones(1)), repr(t.ones(1, dtype=t.float32))]
    finally:
        t.set_default_dtype(before)
    return seen


def of_python_values(t):
    values = [1, 1.5, True, 1j, [1, 2.5], [True, 2], [[1], [2]], [], [[]], [1, 2j], (1, 2),
              range(3), [np.float32(1.5)], np.arange(3), np.float64(2), [t.tensor(1), 2],
              np.ones((2, 2), np.float32)]  # fmt: skip
    made = [t.tensor(v) for v in values]
    return [(str(m.dtype), list(m.shape), m) for m in made]


def legacy_constructors(t):
    return [
        list(t.Tensor(2, 3).shape), t.Tensor([1, 2]), t.FloatTensor([1, 2]), t.LongTensor([1, 2]),
        list(t.Tensor().shape), str(t.DoubleTensor([1]).dtype), t.Tensor([1]).type(),
        isinstance(t.ones(1), t.FloatTensor), isinstance(t.ones(1), t.LongTensor),
        list(t.Tensor(t.Size([2, 1])).shape), t.BoolTensor([1, 0]),
    ]  # fmt: skip


def ranges(t):
    return [
        t.arange(5), t.arange(1, 4), t.arange(0, 1, 0.3), t.arange(5, 0, -2), t.arange(2.5),
        t.linspace(0, 1, 5), t.linspace(3, 10, 3, dtype=t.int64), t.logspace(0, 2, 3), t.eye(2, 3),
        t.full((2,), 7), str(t.full((2,), 1.5).dtype), t.zeros(2, 0), t.ones((2, 1)),
        str(t.full((1,), True).dtype), t.zeros_like(t.ones(2, dtype=t.int32)),
        t.ones(2).new_zeros(3), t.ones(2).new_tensor([1, 2]), t.empty(0), t.scalar_tensor(3),
    ]  # fmt: skip


def sharing(t):
    x = t.arange(12.0)
    v = x.view(3, 4)
    views = [
        v, v.t(), v[1], v[:, 1:3], v.transpose(0, 1), v.permute(1, 0), x[::2], v.unsqueeze(0),
        v.expand(2, 3, 4), v.diagonal(), x.unfold(0, 3, 2), v.narrow(1, 1, 2),
        x.as_strided((2, 2), (3, 1), 1),
        v.squeeze(), v.reshape(4, 3), v.select(1, 2), v.movedim(0, 1), x.split(5)[1], x.chunk(3)[2],
    ]  # fmt: skip
    same = x.untyped_storage().data_ptr()
    return [
        (w.untyped_storage().data_ptr() == same, list(w.stride()), w.storage_offset(),
         w.is_contiguous(), list(w.shape))
        for w in views
    ]  # fmt: skip


def copies(t):
    x = t.arange(6.0).view(2, 3)
    made = [x.clone(), x.t().contiguous(), x.t().reshape(6), x.to(t.float64), x[[0, 1]], x + 0]
    same = x.data_ptr()
    return [m.data_ptr() == same for m in made] + [x.contiguous() is x, x.to(t.float32) is x]


def layouts(t):
    x = t.zeros(2, 3, 4, 5)
    c = x.to(memory_format=t.channels_last)
    return [
        list(c.stride()), c.is_contiguous(), c.is_contiguous(memory_format=t.channels_last),
        list(c.clone().stride()), list((c + 1).stride()), list(t.zeros_like(c).stride()),
        list(x.t().stride()) if x.dim() == 2 else None, list(t.zeros(0, 3).stride()),
        list(t.zeros(3, 0).stride()), list(t.zeros(2, 3).t().clone().stride()),
        list(t.zeros(1, 3).stride()), list(t.empty_strided((2, 3), (1, 2)).stride()),
    ]  # fmt: skip


def dtype_views(t):
    x = t.tensor([1.0, -2.0])
    z = t.view_as_complex(t.tensor([[1.0, 2.0], [3.0, 4.0]]))
    z.real.mul_(10)
    return [x.view(t.int32), x.view(t.uint8).shape[0], z, z.imag, t.view_as_real(z),
            t.ones(2, 4, dtype=t.uint8).view(t.int32)]  # fmt: skip


def numpy_shares(t):
    a = np.zeros(3, np.float32)
    x = t.from_numpy(a)
    x[0] = 5
    a[1] = 7
    y = t.ones(2)
    y.numpy()[0] = 9
    z = t.as_tensor(a)
    z[2] = 3
    return (
        x,
        a.tolist(),
        y,
        np.asarray(t.ones(2)).tolist(),
        str(np.array(t.ones(1, dtype=t.int16)).dtype),
    )


def dlpack(t):
    x = t.arange(3)
    y = t.from_dlpack(x)
    y[0] = 9
    return x, np.from_dlpack(t.arange(3.0)).tolist()


def conversions(t):
    x = t.tensor([1.7, -1.7, 300.0, float("nan")])
    return [
        x.int()[:3], x.long()[:3], x.bool(), x.half(), x.double(), x[:2].to(t.uint8)[:1],
        t.tensor([1 + 2j]).to(t.complex128), x.type(), x.type(t.int64)[:2], str(x.long().type()),
        float(x[0]), int(x[1]), bool(x[0]), x[:2].tolist(), x.element_size(), x.nbytes,
        x.to(t.int32).dtype == t.int32, x.bfloat16()[0].item(), x[0].item(), len(x),
        t.tensor(3).__index__(), f"{t.tensor(1.23456):.2f}", str(x.dtype), 1.7 in x.tolist(),
    ]  # fmt: skip


def properties(t):
    x = t.ones(2, 3, 4)
    return [
        x.ndim, x.dim(), list(x.size()), x.size(-1), x.numel(), x.nelement(), repr(x.shape),
        str(x.device), repr(x.device), repr(x.layout), x.is_floating_point(), x.is_complex(),
        x.is_signed(), x.is_cuda, x.get_device(), repr(x.shape[1:]), x.shape.numel(), x.itemsize,
        t.is_tensor(x), t.is_floating_point(x), t.numel(x), repr(t.Size([1]) + (2,)),
        hash(x) == id(x),
        repr(t.device("cuda:1")), t.device("cpu") == t.device("cpu"), x.T.shape[0], x.mT.shape[1],
    ]  # fmt: skip


def copied_and_pickled(t):
    x = t.tensor([1.0, 2.0], requires_grad=True)
    y = copy.deepcopy(x)
    z = pickle.loads(pickle.dumps(t.arange(6).view(2, 3).t()))
    w = copy.copy(x)
    return y, y.requires_grad, y.data_ptr() == x.data_ptr(), z, w.data_ptr() == x.data_ptr()


def resized(t):
    x = t.arange(6)
    x.resize_(2, 2)
    y = t.arange(4)
    y.resize_(4, 1)
    z = t.ones(2)
    z.set_(t.arange(3.0))
    return x, y, z


def printed(t):
    rng = np.random.default_rng(0)
    arrays = [
        np.array(1.5), np.array(3), np.array([1.0, 2.0]), np.array([1.5, 2, math.nan, math.inf]),
        rng.standard_normal((3, 4)).astype("f"), rng.standard_normal((50, 60)),
        np.array([1e-5, 1.0]),
        np.array([1e9, 1.0]), np.array([1e8, 1e5]), rng.integers(-100, 100, (4, 5)),
        np.array([True, False]), np.zeros((0,)), np.zeros((0, 3)), np.zeros((2, 0), "i8"),
        rng.standard_normal(200).astype("f"), rng.standard_normal((2, 3, 4)).astype("f"),
        rng.standard_normal(1001).astype("f"),
        rng.standard_normal((2, 2)) + 1j * rng.standard_normal((2, 2)), np.array([-0.0, -math.inf]),
        rng.integers(0, 10, 3).astype("u1"), rng.standard_normal(3).astype("e"),
        (rng.standard_normal((3, 2)) * 1e6).astype("f"), np.array([1 + 1e-7j]),
        rng.standard_normal((8, 8, 8, 8)).astype("f"), np.array([math.nan]), np.array([1e-40]),
        np.float32([1, 1000, 100000]), np.arange(1100), np.float32([[1, 2], [3, 4]]),
    ]  # fmt: skip
    texts = [repr(t.tensor(a)) for a in arrays]
    texts += [repr(t.tensor(a, requires_grad=True)) for a in arrays if a.dtype.kind in "fc"]
    x = t.tensor([1.5, 2.0], requires_grad=True)
    texts += [repr(x * 2), repr((x * 2).sum()), repr(x.view(2, 1)), str(t.tensor([1.5]).bfloat16())]
    return texts


def printed_with_options(t):
    x = t.tensor([[1.23456789, 1e-6], [12345.678, 0.5]])
    texts = []
    for options in ({"precision": 2}, {"sci_mode": True}, {"sci_mode": False}, {"linewidth": 20},
                    {"edgeitems": 1, "threshold": 2}, {"profile": "short"},
                    {"profile": "full"}):  # fmt: skip
        t.set_printoptions(**options)
        texts += [repr(x), repr(t.arange(12))]
        t.set_printoptions(profile="default")
    return texts


def of_buffers(t):
    b = bytearray(b"\x01\x00\x00\x00\x02\x00\x00\x00")
    x = t.frombuffer(b, dtype=t.int32)
    x[0] = 7
    return x, b[0], t.frombuffer(b, dtype=t.uint8, count=2, offset=4)


def float8(t):
    x = t.tensor([1.0, 0.3, 500.0]).to(t.float8_e4m3fn)
    return str(x.dtype), x.float()[:2], x.element_size(), repr(x[:2])


def iteration(t):
    x = t.arange(4).view(2, 2)
    a, b = x
    return a, b, [v.tolist() for v in x], len(x), list(reversed(x))[0].tolist()


def iterate_scalar(t):
    list(t.tensor(1))


def len_scalar(t):
    len(t.tensor(1))


def subclass(t):
    class Mine(t.Tensor):
        pass

    x = t.ones(2).as_subclass(Mine)
    return type(x).__name__, isinstance(x, t.Tensor), x.sum().item()


def attributes(t):
    x = t.ones(2)
    x.note = "kept"
    return x.note, hasattr(x, "nothing")


def numbers_that_do_not_fit(t):
    made = [
        lambda: t.tensor(300, dtype=t.uint8), lambda: t.tensor(-255, dtype=t.uint8),
        lambda: t.tensor(-256, dtype=t.uint8), lambda: t.tensor([128], dtype=t.int8),
        lambda: t.tensor(-128, dtype=t.int8), lambda: t.tensor([[1], [2**31]], dtype=t.int32),
        lambda: t.tensor(2**63), lambda: t.tensor([2**63]), lambda: t.tensor(2**70),
        lambda: t.tensor(float("nan"), dtype=t.int64), lambda: t.tensor([1.9], dtype=t.int8),
        lambda: t.tensor([float("inf")], dtype=t.int32), lambda: t.tensor([3e9], dtype=t.int32),
        lambda: t.full((2,), 256, dtype=t.uint8), lambda: t.full((2,), -1, dtype=t.uint8),
        lambda: t.zeros(2, dtype=t.uint8).fill_(300), lambda: t.zeros(2, dtype=t.int16).fill_(-7.9),
        lambda: t.zeros(2, dtype=t.int64).masked_fill(t.tensor([True, False]), float("inf")),
        lambda: t.zeros(2, dtype=t.bool).fill_(300), lambda: t.tensor([1e400], dtype=t.float32),
        lambda: t.tensor(2**63, dtype=t.uint64), lambda: t.tensor({}), lambda: t.tensor({1}),
        lambda: t.tensor([], dtype=t.int8), lambda: t.tensor([True, False], dtype=t.uint8),
    ]  # fmt: skip
    return [_how(make) for make in made]


def _how(make):
    try:
        return make().tolist()
    except Exception as error:
        return type(error).__name__


def python_types_as_dtypes(t):
    x = t.ones(2)
    made = [
        t.zeros(1, dtype=float), t.zeros(1, dtype=int), t.zeros(1, dtype=bool),
        t.zeros(1, dtype=complex), x.sum(dtype=int), x.mean(dtype=float), x.softmax(0, dtype=float),
        x.cumsum(0, dtype=float), x.to(float), x.new_zeros(1, dtype=float), x.norm(dtype=float),
        t.tril_indices(2, 2, dtype=int), t.nn.Linear(1, 1, dtype=float).weight,
    ]  # fmt: skip
    told = [str(m.dtype) for m in made]
    return [*told, str(t.promote_types(float, int)), t.can_cast(float, int), t.finfo(float).bits]
