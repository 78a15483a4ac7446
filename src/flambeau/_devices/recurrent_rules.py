"""Steps of LSTM and GRU on a device: one product and one elementwise kernel each.

See ``ops.recurrent``, whose other parts run as they are (``twins``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..ops import recurrent
from ..ops.recurrent import _by_gate, _steps
from .backend import backend
from .rules import elementwise, xp
from .twins import instead, twin

Array = Any


def _product(a: Array, b: Array) -> Array:
    out = xp().empty((a.shape[0], b.shape[1]), a.dtype)
    backend().product(a, b, out)
    return out


def _none(like: Array) -> Array:
    """In the place of an operand that there is not."""
    return xp().zeros(1, like.dtype)


@instead(recurrent._lstm_ahead)
def _lstm_ahead(
    z: Array,
    b_ih: Array | None,
    b_hh: Array | None,
    states: Sequence[Array],
    w_hh: Array,
    w_hr: Array | None,
    sizes: Sequence[int],
    reverse: bool,
) -> list[Array]:
    h, c = states
    moved = twin(recurrent._moved)
    recurrent._plus(z, b_ih, b_hh)
    out = xp().empty((z.shape[0], h.shape[1]), z.dtype)
    cells = xp().empty((z.shape[0], z.shape[1] // 4), z.dtype)
    bent = xp().empty_like(cells)
    for rows, n in _steps(sizes, reverse):
        gates, h_now, c_now = z[rows], out[rows], cells[rows]
        product = _product(h[:n], w_hh.T)
        whole = h_now if w_hr is None else xp().empty_like(c_now)
        elementwise(
            "a f g o pa pf pg po c",
            "ra rf rg ro rc rb rh",
            "ra = 1 / (1 + exp(-(a + pa))); rf = 1 / (1 + exp(-(f + pf))); rg = tanh(g + pg);"
            "ro = 1 / (1 + exp(-(o + po))); rc = rf * c + ra * rg; rb = tanh(rc); rh = ro * rb",
            *_by_gate(gates, 4),
            *_by_gate(product, 4),
            c[:n],
            *_by_gate(gates, 4),
            c_now,
            bent[rows],
            whole,
        )
        if w_hr is not None:
            backend().product(whole, w_hr.T, h_now)
        h, c = moved(h, h_now), moved(c, c_now)
    return [out, h.copy(), c.copy(), z, cells, bent]


@instead(recurrent._lstm_back)
def _lstm_back(
    grads: Sequence[Array | None],
    out: Array,
    kept: Sequence[Array],
    states: Sequence[Array],
    w_hh: Array,
    w_hr: Array | None,
    sizes: Sequence[int],
    reverse: bool,
) -> list[Array]:
    (g_out, g_h, g_c), (h, c), (gates, cells, bent) = grads, states, kept
    i, f, g, o = _by_gate(gates, 4)
    steps = _steps(sizes, reverse)
    before = twin(recurrent._before)
    to_gates, through = xp().empty_like(gates), xp().empty_like(bent)
    # what each gate's input adds: to c for i, f, g and to h for o; then times their gradient
    elementwise(
        "a f g o c b",
        "ra rf rg ro rt",
        "ra = g * a * (1 - a); rf = c * f * (1 - f); rg = a * (1 - g * g);"
        "ro = b * o * (1 - o); rt = o * (1 - b * b)",
        *(i, f, g, o, before(cells, c, steps), bent),
        *_by_gate(to_gates, 4),
        through,
    )
    to_h = xp().zeros_like(h) if g_h is None else g_h.copy()
    to_c = xp().zeros_like(c) if g_c is None else g_c.copy()
    projected, nothing = None if w_hr is None else xp().empty_like(out), _none(out)
    for rows, n in reversed(steps):
        dh, dc, add = to_h[:n], to_c[:n], nothing if g_out is None else g_out[rows]
        d = dh
        if w_hr is not None:
            xp().add(dh, add, out=projected[rows])
            d, add = _product(projected[rows], w_hr), nothing
        by_gate = _by_gate(to_gates[rows], 4)
        elementwise(
            "h g t a f q o k c",
            "ra rf rq ro rc",
            "rc = c + (h + g) * t; ra = a * rc; rf = f * rc; rq = q * rc; ro = o * (h + g);"
            "rc = rc * k",
            *(d, add, through[rows], *by_gate, f[rows], dc),
            *by_gate,
            dc,
        )
        backend().product(to_gates[rows], w_hh, dh)
    found = [to_gates, to_gates, before(out, h, steps), to_h, to_c]
    return found if w_hr is None else [*found, xp().matmul(projected.T, o * bent)]


@instead(recurrent._gru_ahead)
def _gru_ahead(
    z: Array,
    b_ih: Array | None,
    b_hh: Array | None,
    states: Sequence[Array],
    w_hh: Array,
    w_hr: None,
    sizes: Sequence[int],
    reverse: bool,
) -> list[Array]:
    (h,) = states
    recurrent._plus(z, b_ih)
    out = xp().empty((z.shape[0], h.shape[1]), z.dtype)
    inner = xp().empty_like(out)
    offsets = [_none(z)] * 3 if b_hh is None else b_hh.reshape(3, -1)
    for rows, n in _steps(sizes, reverse):
        gates, h_now = _by_gate(z[rows], 3), out[rows]
        product = _product(h[:n], w_hh.T)
        elementwise(
            "r z q pr pz pq br bz bq h",
            "rr rz rs rq rh",
            "rr = 1 / (1 + exp(-(r + pr + br))); rz = 1 / (1 + exp(-(z + pz + bz)));"
            "rs = pq + bq; rq = tanh(q + rr * rs); rh = rq + rz * (h - rq)",
            *gates,
            *_by_gate(product, 3),
            *offsets,
            h[:n],
            *(gates[0], gates[1], inner[rows], gates[2], h_now),
        )
        h = twin(recurrent._moved)(h, h_now)
    return [out, h.copy(), z, inner]


@instead(recurrent._gru_back)
def _gru_back(
    grads: Sequence[Array | None],
    out: Array,
    kept: Sequence[Array],
    states: Sequence[Array],
    w_hh: Array,
    w_hr: None,
    sizes: Sequence[int],
    reverse: bool,
) -> list[Array]:
    (g_out, g_h), (h,), (gates, inner) = grads, states, kept
    r, z, new = _by_gate(gates, 3)
    steps = _steps(sizes, reverse)
    h_before = twin(recurrent._before)(out, h, steps)
    to_state, bend = xp().empty_like(gates), xp().empty_like(out)
    elementwise(
        "r z q s h",
        "rb rr rz rq",
        "rb = (1 - z) * (1 - q * q); rr = rb * s * r * (1 - r); rz = (h - q) * z * (1 - z);"
        "rq = rb * r",
        *(r, z, new, inner, h_before, bend),
        *_by_gate(to_state, 3),
    )
    to_h = xp().zeros_like(h) if g_h is None else g_h.copy()
    nothing = _none(out)
    for rows, n in reversed(steps):
        dh, add = to_h[:n], nothing if g_out is None else g_out[rows]
        by_gate = _by_gate(to_state[rows], 3)
        elementwise(
            "h g r z q b k",
            "rr rz rq rb rh",
            "rr = r * (h + g); rz = z * (h + g); rq = q * (h + g); rb = b * (h + g);"
            "rh = (h + g) * k",
            *(dh, add, *by_gate, bend[rows], z[rows]),
            *by_gate,
            *(bend[rows], dh),
        )
        dh += _product(to_state[rows], w_hh)
    to_input = to_state.copy()
    to_input[:, -h.shape[1] :] = bend
    return [to_input, to_state, h_before, to_h]
