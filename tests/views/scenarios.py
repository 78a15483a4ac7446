"""Indexing, and writes through views: functions of the library, whose answers are compared.

``golden.json`` holds what PyTorch 2.13 answers; tests/golden.py records and compares.
"""

from __future__ import annotations

import itertools

import numpy as np

# ---- indices -------------------------------------------------------------------------------

_KEYS = (
    "0 -1 2 7 : 1: :-1 ::2 5:9 -9:2 None ... rows table negative scalar int32 empty list mask_list "
    "mask2 mask3 mask23 True False mask0 array number int8 float range"
).split()


def _key(t, name):
    """One part of an index, for a tensor of shape (2, 3, 4)."""
    return {
        "0": 0, "-1": -1, "2": 2, "7": 7, ":": slice(None), "1:": slice(1, None),
        ":-1": slice(None, -1), "::2": slice(None, None, 2), "5:9": slice(5, 9),
        "-9:2": slice(-9, 2), "None": None, "...": Ellipsis, "rows": t.tensor([0, 1, 0]),
        "table": t.tensor([[0, 1], [1, 0]]), "negative": t.tensor([-1, 0]),
        "scalar": t.tensor(1), "int32": t.tensor([1, 0], dtype=t.int32),
        "empty": t.tensor([], dtype=t.int64), "list": [0, 1], "mask_list": [True, False],
        "mask2": t.tensor([True, False]), "mask3": t.tensor([True, False, True]),
        "mask23": t.tensor([[True, False, True], [False, True, True]]), "True": True,
        "False": False, "mask0": t.tensor(True), "array": np.array([1, 0]),
        "number": np.int64(1), "int8": t.tensor(1, dtype=t.int8), "float": 1.5,
        "range": range(2),
    }[name]  # fmt: skip


def _index(t, names):
    key = tuple(_key(t, n) for n in names)
    return key[0] if len(key) == 1 else key


def _tried(f, *args):
    try:
        return f(*args)
    except Exception as error:
        return type(error).__name__


def _check_sum(x):
    """A number that tells the elements' values and order."""
    return (x.reshape(-1) * (_arange(x) % 7 + 1)).sum().item() if x.numel() else 0


def _arange(x):
    return x.new_ones(x.numel()).cumsum(0)


def _read(t, names):
    x = t.arange(24.0, dtype=t.float64).reshape(2, 3, 4).requires_grad_()
    y = (x * 1)[_index(t, names)]
    (g,) = t.autograd.grad((y * y).sum(), x)
    return [list(y.shape), _check_sum(y.detach()), _check_sum(g)]


def _write(t, names):
    x = t.arange(24.0, dtype=t.float64).reshape(2, 3, 4).requires_grad_()
    v = t.tensor(3.0, dtype=t.float64).requires_grad_()
    y = x * 1
    y[_index(t, names)] = v * 2
    g = t.autograd.grad((y * y).sum(), (x, v), allow_unused=True)
    z = x.detach().clone()
    z[_index(t, names)] = 5
    return [
        _check_sum(y.detach()),
        _check_sum(z),
        _check_sum(g[0]),
        float(0 if g[1] is None else g[1]),
    ]


def reads_of_one_part(t):
    return [_tried(_read, t, (k,)) for k in _KEYS]


def writes_of_one_part(t):
    return [_tried(_write, t, (k,)) for k in _KEYS]


_PAIRS = list(itertools.product(_KEYS, _KEYS))
_TRIPLES = [(_KEYS[i % 31], _KEYS[i * 7 % 31], _KEYS[(i * 17 + i // 31) % 31]) for i in range(400)]
# PyTorch looks at no index where nothing is selected, and so takes one that is out of bounds.


def reads_of_two_parts(t):
    return [_tried(_read, t, k) for k in _PAIRS]


def writes_of_two_parts(t):
    return [_tried(_write, t, k) for k in _PAIRS]


def reads_of_three_parts(t):
    return [_tried(_read, t, k) for k in _TRIPLES]


def writes_of_three_parts(t):
    return [_tried(_write, t, k) for k in _TRIPLES]


# ---- writes through views ------------------------------------------------------------------


def _leaf(t, *shape):
    n = 1
    for k in shape:
        n *= k
    return (t.arange(float(n), dtype=t.float64).reshape(*shape) / 7 + 0.3).requires_grad_()


def _with_gradients(t, out, leaves):
    grads = t.autograd.grad((out * 1.5).sum(), leaves, allow_unused=True)
    return [out.detach(), list(grads)]


def add_row(t):
    a = _leaf(t, 3, 4)
    x = a * 2
    x[0] += 1
    return _with_gradients(t, x, [a])


def mul_row(t):
    a = _leaf(t, 3, 4)
    x = a * 2
    x[0] *= 3
    return _with_gradients(t, x, [a])


def set_col(t):
    a = _leaf(t, 3, 4)
    y = _leaf(t, 3)
    x = a * 2
    x[:, 1] = y * y
    return _with_gradients(t, x, [a, y])


def set_mask(t):
    a = _leaf(t, 3, 4)
    x = a * 2
    x[x > 1] = 0
    return _with_gradients(t, x * x, [a])


def set_idx(t):
    a = _leaf(t, 3, 4)
    y = _leaf(t, 2, 4)
    x = a * 2
    x[t.tensor([0, 2])] = y * 3
    return _with_gradients(t, x * x, [a, y])


def set_mixed(t):
    a = _leaf(t, 3, 4, 2)
    y = _leaf(t, 2, 2)
    x = a * 2
    x[1, [0, 2]] = y * 3
    return _with_gradients(t, x * x, [a, y])


def zeros_leafy(t):
    y = _leaf(t, 4)
    x = t.zeros(3, 4, dtype=t.float64)
    x[1] = y * 2
    x[2] = x[1] * y
    return _with_gradients(t, x * x, [y])


def chain(t):
    a = _leaf(t, 4, 6)
    x = a * 1
    v = x[1:3]
    w = v[:, ::2]
    w.mul_(5)
    u = w[0]
    u.add_(v[1, :3])
    return _with_gradients(t, x.sin(), [a])


def chain_view_result(t):
    a = _leaf(t, 4, 6)
    x = a * 1
    v = x[1:3]
    w = v[:, ::2]
    w.mul_(5)
    return _with_gradients(t, v * v, [a])


def sibling(t):
    a = _leaf(t, 4, 6)
    x = a * 1
    v = x[1]
    w = x[:, 1]
    v.mul_(3)
    w.mul_(v[1].detach().clone())
    return _with_gradients(t, (v * 2).sum() + (w * w).sum() + x.sum(), [a])


def transposed_base(t):
    a = _leaf(t, 4, 6)
    x = (a * 1).t()
    v = x[2]
    v.mul_(7)
    x[:, 0].add_(v[0].clone())
    return _with_gradients(t, x * x, [a])


def transposed_clone(t):
    a = _leaf(t, 4, 6)
    x = (a * 1).t().clone()
    x[2].mul_(7)
    x[:, 1] = x[:, 0] * 2
    return _with_gradients(t, x * x, [a])


def perm3(t):
    a = _leaf(t, 2, 3, 4)
    x = (a * 1).permute(2, 0, 1).clone()
    x[1, :, 2].mul_(3)
    x[:, 0] = x[:, 1] * x[:, 0]
    return _with_gradients(t, x * x, [a])


def base_written(t):
    a = _leaf(t, 3, 4)
    x = a * 1
    v = x[0]
    x.mul_(2)
    return _with_gradients(t, v * v, [a])


def base_then_view(t):
    a = _leaf(t, 3, 4)
    x = a * 1
    v = x[0]
    x.mul_(2)
    v.add_(x[1].detach())
    x.mul_(3)
    return _with_gradients(t, v * v + x.sum(), [a])


def view_of_detached(t):
    a = _leaf(t, 3, 4)
    x = a * 1
    d = x.detach()
    d[0] = 5.0
    return _with_gradients(t, x + a, [a])


def no_grad_write(t):
    a = _leaf(t, 3, 4)
    x = a * 1
    with t.no_grad():
        x[0] = 7.0
    return _with_gradients(t, x * a, [a])


def leaf_no_grad(t):
    a = _leaf(t, 3, 4)
    with t.no_grad():
        a[0] = 7.0
        a[1].mul_(2)
    return _with_gradients(t, a * a, [a])


def view_in_no_grad(t):
    a = _leaf(t, 3, 4)
    x = a * 1
    with t.no_grad():
        v = x[0]
    v.mul_(2)
    return _with_gradients(t, x, [a])


def leaf_view(t):
    a = _leaf(t, 3, 4)
    a[0] = 1.0
    return _with_gradients(t, a, [a])


def leaf_idx(t):
    a = _leaf(t, 3, 4)
    a[[0, 1]] = 1.0
    return _with_gradients(t, a, [a])


def unbind_write(t):
    a = _leaf(t, 3, 4)
    x = a * 1
    r = x.unbind(0)
    r[0].mul_(2)
    return _with_gradients(t, x, [a])


def split_write(t):
    a = _leaf(t, 3, 4)
    x = a * 1
    r = x.split(2)
    r[0].mul_(2)
    return _with_gradients(t, x, [a])


def split_write_nograd_base(t):
    x = t.zeros(3, 4, dtype=t.float64)
    r = x.split(2)
    r[0].add_(2)
    return x.clone().requires_grad_()


def expand_write(t):
    a = _leaf(t, 1, 4)
    x = (a * 1).expand(3, 4)
    x.mul_(2)
    return _with_gradients(t, x, [a])


def expand_set(t):
    x = t.zeros(1, 4).expand(3, 4)
    x[0] = 1.0
    return x.clone().requires_grad_()


def saved_changed(t):
    a = _leaf(t, 3, 4)
    x = a * 1
    y = x * x
    x[0] = 1.0
    return _with_gradients(t, y, [a])


def saved_view_changed(t):
    a = _leaf(t, 3, 4)
    x = a * 1
    v = x[0]
    y = v * v
    x[1].zero_()
    return _with_gradients(t, y, [a])


def saved_idx_changed(t):
    a = _leaf(t, 3, 4)
    i = t.tensor([0, 1])
    y = a[i]
    i[0] = 2
    return _with_gradients(t, y, [a])


def diag_write(t):
    a = _leaf(t, 3, 3)
    x = a * 1
    x.diagonal().mul_(4)
    return _with_gradients(t, x * x, [a])


def diag_write2(t):
    a = _leaf(t, 2, 3, 3)
    x = a * 1
    x.diagonal(0, 1, 2).copy_(_leaf(t, 2, 3).detach())
    return _with_gradients(t, x * x, [a])


def as_strided_write(t):
    a = _leaf(t, 3, 4)
    x = a * 1
    x.as_strided((2, 2), (4, 1), 1).mul_(5)
    return _with_gradients(t, x * x, [a])


def squeeze_write(t):
    a = _leaf(t, 3, 1, 4)
    x = a * 1
    x.squeeze(1)[1].mul_(2)
    x.unsqueeze(0)[0, 0, 0, :2] = 1.0
    return _with_gradients(t, x * x, [a])


def real_write(t):
    a = _leaf(t, 3, 2)
    x = t.view_as_complex(a * 1)
    x.real.mul_(3)
    return _with_gradients(t, t.view_as_real(x) * 2, [a])


def real_write2(t):
    a = _leaf(t, 3, 2)
    x = t.view_as_complex(a * 1)
    t.view_as_real(x)[0].mul_(3)
    return _with_gradients(t, (x * x).abs(), [a])


def unfold_write(t):
    a = _leaf(t, 8)
    x = a * 1
    x.unfold(0, 2, 2)[:, 0].mul_(3)
    return _with_gradients(t, x * x, [a])


def t_inplace(t):
    a = _leaf(t, 2, 3)
    x = a * 1
    x.t_()
    x[0].mul_(2)
    return _with_gradients(t, x * _leaf(t, 3, 2).detach(), [a])


def unsq_inplace(t):
    a = _leaf(t, 2, 3)
    x = a * 1
    x.unsqueeze_(0)
    x.mul_(2)
    x.squeeze_(0)
    return _with_gradients(t, x * x, [a])


def view_inplace_meta(t):
    a = _leaf(t, 2, 3)
    x = a * 1
    v = x[0:2]
    v.t_()
    v[0].mul_(5)
    return _with_gradients(t, x * x + v.t(), [a])


def second_backward(t):
    a = _leaf(t, 3, 4)
    x = a * 1
    x[0] = x[1] * x[2]
    (g,) = t.autograd.grad((x * x * x).sum(), a, create_graph=True)
    return _with_gradients(t, g * g, [a])


def double_chain(t):
    a = _leaf(t, 4, 6)
    x = a * 1
    v = x.t()[1:3]
    v.mul_(v.detach())
    v[0] = v[1] * v[1]
    (g,) = t.autograd.grad((x * x * x).sum(), a, create_graph=True)
    return _with_gradients(t, g * g, [a])


def index_put_acc(t):
    a = _leaf(t, 3, 4)
    y = _leaf(t, 3, 4)
    x = a * 1
    x.index_put_((t.tensor([0, 0, 2]),), y * 2, accumulate=True)
    return _with_gradients(t, x * x, [a, y])


def masked(t):
    a = _leaf(t, 3, 4)
    y = _leaf(t, 12)
    x = a * 1
    x.t().masked_scatter_(x.t() > 1, y)
    x[0].masked_fill_(x[0] > 0.4, 3.0)
    return _with_gradients(t, x * x, [a, y])


def self_overlap(t):
    a = _leaf(t, 6)
    x = a * 1
    x[1:] = x[:-1].clone() * 2
    return _with_gradients(t, x * x, [a])


def copy_bcast(t):
    a = _leaf(t, 4)
    x = t.zeros(3, 4, dtype=t.float64)
    x[1:].copy_(a)
    x[:, :2] = a[0]
    return _with_gradients(t, x * x, [a])


def hook_after(t):
    a = _leaf(t, 3, 4)
    x = a * 1
    out = []
    x.register_hook(lambda g: out.append(g.sum().item()))
    x[0] = 0.0
    y = (x * x).sum()
    y.backward()
    return out


def retain(t):
    a = _leaf(t, 3, 4)
    x = a * 1
    x.retain_grad()
    x[0] *= 2
    (x * x).sum().backward()
    return [[round(u, 4) for u in r] for r in x.grad.tolist()]


def ones_like_view_chain(t):
    a = _leaf(t, 2, 3, 4)
    x = a * 1
    v = x.view(6, 4)
    w = v.view(3, 8)
    w[1] = w[0] * 2
    u = v[::2]
    u.mul_(3)
    return _with_gradients(t, (x * x).sum() + (w**3).sum() + (u * v[1::2]).sum(), [a])


def overwritten_all(t):
    a = _leaf(t, 3, 4)
    b = _leaf(t, 3, 4)
    x = a * 1
    v = x[:]
    v.copy_(b * 2)
    return _with_gradients(t, x * x + v, [a, b])


def fill_zero(t):
    a = _leaf(t, 3, 4)
    x = a * 1
    x[1].zero_()
    x[2].fill_(3.0)
    return _with_gradients(t, x * x, [a])


def float_into_int(t):
    x = t.zeros(3, dtype=t.int64)
    x[0] = 3.7
    x[1:] = t.tensor([1.9, -2.9])
    return x.tolist()
