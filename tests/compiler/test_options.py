"""The options of ``torch.compile``, and what programs import of PyTorch's tracer."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

import flambeau as torch
from flambeau import nn
from flambeau.compiler.compiled import BACKENDS, MODES


def doubled(x: torch.Tensor) -> torch.Tensor:
    return x * 2


@pytest.mark.parametrize(
    "options",
    [{"mode": mode} for mode in MODES]
    + [{"backend": name} for name in BACKENDS]
    + [{"fullgraph": True}, {"dynamic": True}, {"dynamic": False}, {"disable": True}]
    + [{"options": {"max_autotune": True}}],
    ids=str,
)
def test_pytorchs_options_are_taken(options: dict) -> None:
    for f in (torch.compile(doubled, **options), torch.compile(**options)(doubled)):
        assert [f(torch.ones(2)).tolist() for _ in range(3)] == [[2, 2]] * 3


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"mode": "fastest"}, "Unrecognized mode=fastest, should be one of: default"),
        ({"mode": "default", "options": {}}, "Either mode or options can be specified, but both"),
        ({"backend": "xla2"}, "Invalid backend: 'xla2'"),
    ],
)
def test_others_are_refused(options: dict, says: str) -> None:
    with pytest.raises(RuntimeError, match=says):
        torch.compile(doubled, **options)


def test_a_backend_of_fx_graphs_is_not_called() -> None:
    def backend(graph: object, inputs: list) -> Callable:
        raise AssertionError

    with pytest.warns(UserWarning, match="the backend 'backend' is a function of FX graphs"):
        f = torch.compile(doubled, backend=backend)
    assert f(torch.ones(2)).tolist() == [2, 2]


def test_reset_forgets() -> None:
    f = torch.compile(doubled, backend="python")
    for reset in (torch.compiler.reset, torch._dynamo.reset):
        for _ in range(2):
            f(torch.ones(2))
        assert len(f.variants) == 1
        reset()
        assert not f.variants
    assert f(torch.ones(2)).tolist() == [2, 2]


def test_names_of_the_tracer() -> None:
    dynamo = torch._dynamo
    dynamo.config.recompile_limit = 64
    torch._inductor.config.triton.cudagraphs = False
    x = torch.ones(3)
    dynamo.mark_dynamic(x, 0)

    @dynamo.optimize("inductor")
    def f(x: torch.Tensor) -> torch.Tensor:
        dynamo.graph_break()
        return torch.compiler.disable(doubled)(x) + (1 if torch.compiler.is_compiling() else 0)

    assert [f(x).tolist() for _ in range(3)] == [[2, 2, 2]] * 3
    assert "a program of 1 operations" in dynamo.explain(doubled)(x)
    assert dynamo.list_backends() == torch.compiler.list_backends() == ["inductor"]
    net = torch.compile(nn.Linear(2, 2))
    assert isinstance(net, dynamo.OptimizedModule)
    assert isinstance(net, dynamo.eval_frame.OptimizedModule)
    assert issubclass(dynamo.exc.Unsupported, RuntimeError)
    assert "max_autotune" in torch._inductor.list_options()
    assert "default" in torch._inductor.list_mode_options()


def test_threads_call_one_function_at_once() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    f = torch.compile(net, backend="python")
    wrong = []

    def work(k: int) -> None:
        for i in range(15):
            x = torch.full((2, 3), i * k / 10)
            with torch.set_grad_enabled(i % 2 == 0):
                out = f(x)
            if not torch.allclose(out, net(x)) or out.requires_grad != (i % 2 == 0):
                wrong.append((k, i))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
