"""One step of an LSTM, all that follows its products, in LLVM's language: forward and backward."""

from __future__ import annotations

from .builder import I64, PTR, Code, Value, vector_of
from .rows_text import row_pass
from .scalar_functions import sigmoid, tanh


def lstm_step(element: str, lanes: int) -> str:
    """``kernel(gates, product, c, c_now, bent, h_now, gate_step, hidden, rows)``.

    The gates i, f, g, o, ``gate_step`` elements apart, become sigmoid(gate + product) (g: tanh),
    where ``product`` has rows of 4 * hidden; c_now = f * c + i * g, bent = tanh(c_now),
    h_now = o * bent.
    """
    names = ("gates", "product", "c", "c_now", "bent", "h_now")
    numbers = dict.fromkeys(("gate_step", "hidden", "rows"), I64)
    code = Code("kernel", {**dict.fromkeys(names, PTR), **numbers})
    hidden = code["hidden"]

    def row(r: Value) -> None:
        place = r * hidden
        gates = [code.at(code["gates"], element, code["gate_step"] * n + place) for n in range(4)]
        products = [code.at(code["product"], element, place * 4 + hidden * n) for n in range(4)]
        c, c_now, bents, h_now = (
            code.at(code[n], element, place) for n in ("c", "c_now", "bent", "h_now")
        )

        def some(wide: int, j: Value) -> None:
            kind = vector_of(element, wide)
            values = []
            for n in range(4):
                z = code.load(kind, gates[n], j) + code.load(kind, products[n], j)
                values.append(code.apply(tanh if n == 2 else sigmoid, z))
                code.store(values[n], gates[n], j)
            i, f, g, o = values
            cell = code.load(kind, c, j) * f + i * g
            bent = code.apply(tanh, cell)
            code.store(cell, c_now, j)
            code.store(bent, bents, j)
            code.store(bent * o, h_now, j)

        row_pass(code, lanes, 0, hidden, some)

    code.loop(0, code["rows"], row)
    return code.text()


def lstm_step_backward(element: str, lanes: int) -> str:
    """``kernel(gates, c, bent, d, dc, to_gates, gate_step, hidden, rows)``.

    From ``d``, the gradient of h before it is projected, and ``dc``, that of the cell: the
    gradients of the gates' inputs as rows of 4 * hidden; ``dc`` becomes that of ``c``.
    """
    names = ("gates", "c", "bent", "d", "dc", "to_gates")
    numbers = dict.fromkeys(("gate_step", "hidden", "rows"), I64)
    code = Code("kernel", {**dict.fromkeys(names, PTR), **numbers})
    hidden = code["hidden"]

    def row(r: Value) -> None:
        place = r * hidden
        gates = [code.at(code["gates"], element, code["gate_step"] * n + place) for n in range(4)]
        c, bents, d, dc = (code.at(code[n], element, place) for n in ("c", "bent", "d", "dc"))
        line = code.at(code["to_gates"], element, place * 4)
        targets = [code.at(line, element, hidden * n) for n in range(4)]

        def some(wide: int, j: Value) -> None:
            kind = vector_of(element, wide)
            one = code.constant(kind, 1.0)
            i, f, g, o = (code.load(kind, gate, j) for gate in gates)
            bent, dh = code.load(kind, bents, j), code.load(kind, d, j)
            cell = code.load(kind, dc, j) + dh * (o * (one - bent * bent))
            results = (
                cell * (g * i * (one - i)),
                cell * (code.load(kind, c, j) * f * (one - f)),
                cell * (i * (one - g * g)),
                dh * (bent * o * (one - o)),
            )
            for value, target in zip(results, targets, strict=True):
                code.store(value, target, j)
            code.store(cell * f, dc, j)

        row_pass(code, lanes, 0, hidden, some)

    code.loop(0, code["rows"], row)
    return code.text()
