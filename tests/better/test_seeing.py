"""Seeing a model and where its time goes, without another package. (2001, 167503)"""

from __future__ import annotations

import json
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import flambeau as torch
from flambeau import nn
from flambeau.nn import functional as F
from flambeau.viz._layout import layered


class Block(nn.Module):
    """Norm and two layers, added to the input."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(n)
        self.mlp = nn.Sequential(nn.Linear(n, 2 * n), nn.GELU(), nn.Linear(2 * n, n))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.mlp(self.norm(x))


class Net(nn.Module):
    """Embedding, two blocks, head."""

    def __init__(self) -> None:
        super().__init__()
        self.emb = nn.Embedding(10, 8)
        self.blocks = nn.ModuleList([Block(8), Block(8)])
        self.head = nn.Linear(8, 10)

    def forward(self, i: torch.Tensor) -> torch.Tensor:
        x = self.emb(i)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


I = torch.arange(24).view(4, 6) % 10


def test_summary() -> None:
    model = Net()
    model.head.bias.requires_grad_(False)
    model.blocks[1].eval()
    before = [m.training for m in model.modules()]
    table = torch.summary(model, I)
    assert [m.training for m in model.modules()] == before
    assert all(p.grad is None for p in model.parameters())
    rows = {(r.name, r.kind): r for r in table.rows}
    assert rows["emb", "Embedding 10->8"].outputs == "(4, 6, 8)"
    assert rows["head", "Linear 8->10"].parameters == 90
    assert rows["head", "Linear 8->10"].trainable == 80
    assert rows["blocks", "ModuleList"].outputs == "-"
    assert rows["", "Net"].parameters == sum(p.numel() for p in model.parameters()) == 762
    text = str(table)
    assert "    0: Block             (4, 6, 8)   (4, 6, 8)" in text
    assert text.endswith("762 parameters, 752 trainable, 10 frozen; 3.0 kB")
    assert "<table>" in table._repr_html_()
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        torch.summary(nn.Linear(3, 2), torch.ones(2, 4))
    with pytest.raises(RuntimeError):
        torch.summary(model.head, torch.ones(2, 4))
    assert model.head.training


def boxes(picture: object) -> dict[str, list[str]]:
    return {lines[0]: lines[1:] for _, lines in picture.boxes}


def test_a_graph_of_numbers_with_values_and_gradients() -> None:
    a = torch.tensor(2.0, requires_grad=True)
    b = torch.tensor(-3.0, requires_grad=True)
    picture = torch.graph(lambda: (a * b + a).tanh() * b)
    found = boxes(picture)
    assert found["add"][0] == "value -4" and found["add"][1].startswith("grad -0.00402")
    assert found["tanh"] == ["value -0.9993", "grad -3"]
    assert [lines for kind, lines in picture.boxes if kind == "result"] == [
        ["mul", "value 2.998", "grad 1"]
    ]
    out = a * b
    out.backward(retain_graph=True)
    drawn = boxes(torch.graph(out))
    assert drawn["a"] == ["value 2", "grad -3"] and drawn["b"] == ["value -3", "grad 2"]


def test_modules_are_folded() -> None:
    model = Net()
    picture = torch.graph(lambda: F.cross_entropy(model(I).flatten(0, 1), I.flatten()), model=model)
    kinds = [kind for kind, _ in picture.boxes]
    assert kinds.count("module") == 4 and "leaf" not in kinds
    found = boxes(picture)
    assert found["Net.blocks[1]"][:3] == ["Block", "5 operations, 296 parameters", "4x6x8"]
    assert found["Net.blocks[1]"][3].startswith("value ")
    assert found["Net.blocks[1]"][4].startswith("grad ")
    whole = boxes(torch.graph(model, I, fold=None))
    assert whole["blocks.0.mlp.2.weight"][0] == "8x16" and len(whole) > 15
    assert len(torch.graph(model, I, fold=0).boxes) == 1


def test_the_svg_is_one_and_its_boxes_do_not_overlap(tmp_path: Path) -> None:
    picture = torch.graph(Net(), I, fold=None)
    picture.save(tmp_path / "graph.svg")
    root = ET.fromstring((tmp_path / "graph.svg").read_text())
    space = "{http://www.w3.org/2000/svg}"
    shapes = [
        tuple(float(r.get(k)) for k in ("x", "y", "width", "height"))
        for r in root.findall(f"{space}rect")[1:]
    ]
    assert len(shapes) == len(picture.boxes)
    for i, (x, y, w, h) in enumerate(shapes):
        assert 0 <= x and x + w <= float(root.get("width"))
        for x2, y2, w2, h2 in shapes[:i]:
            assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y
    assert picture._repr_svg_() == picture.svg == str(picture)


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="does not require grad"):
        torch.graph(torch.ones(2))
    used = torch.ones(1, requires_grad=True).exp()
    used.backward()
    with pytest.raises(ValueError, match="backward has used this graph up"):
        torch.graph(used)
    with pytest.raises(TypeError, match="a tensor or a function, not int"):
        torch.graph(3)
    x = torch.ones(1, requires_grad=True)
    y = x
    for _ in range(500):
        y = y + 1
    with pytest.raises(ValueError, match="501 boxes are too many"):
        torch.graph(y)


def test_layers_follow_the_edges() -> None:
    size = (40.0, 20.0)
    centres, paths, width, height = layered(
        dict.fromkeys("abdc", size), [("a", "b"), ("b", "c"), ("a", "c"), ("d", "c")]
    )
    assert centres["a"][1] < centres["b"][1] < centres["c"][1]
    assert centres["d"][1] == centres["b"][1]  # just above what uses it
    assert len(paths[2]) == 3 and width > 0 and height > 0
    assert layered({"a": size}, [])[0] == {"a": (20.0, 10.0)}


# ---- profile -------------------------------------------------------------------------------


class Training:
    """A model that is large enough for its operations to be most of the time."""

    def __init__(self) -> None:
        self.model = nn.Sequential(
            nn.Linear(128, 256), nn.GELU(), nn.LayerNorm(256), nn.Linear(256, 128)
        )
        self.optimizer = torch.optim.AdamW(self.model.parameters(), 1e-3)
        self.x = torch.randn(128, 128)

    def run(self, steps: int) -> float:
        start = time.process_time()
        for _ in range(steps):
            self.optimizer.zero_grad()
            out = self.model(self.x)
            loss = ((out - self.x) ** 2).mean()
            loss.backward()
            self.optimizer.step()
        return time.process_time() - start


def test_profile_tells_lines_and_modules(capsys: pytest.CaptureFixture[str]) -> None:
    training = Training()
    training.run(2)
    with torch.profile() as p:
        training.run(4)
    said = capsys.readouterr().out
    assert "out = self.model(self.x)" in said and "Sequential.0 (Linear 128->256)" in said
    assert f"wall time {1e3 * p.wall:.1f} ms" in said
    for table in (p.lines(), p.modules()):
        assert sum(row.total for row in table.values()) / 1e9 == pytest.approx(p.wall, rel=0.05)
    line = next(row for name, row in p.lines().items() if "out = self.model" in name)
    assert line.forward > 0 and line.backward > 0 and line.calls > 4 * 8
    linear = next(row for name, row in p.modules().items() if name.startswith("Sequential.0"))
    assert linear.nbytes > 4 * 128 * 256 * 4 and linear.backward > 0
    assert any("self.optimizer.step()" in name for name in p.lines())
    assert p._repr_html_().startswith("<pre>")


def test_profile_costs_little() -> None:
    training = Training()
    training.run(5)

    def profiled(steps: int) -> float:
        with torch.profile(show=False):
            return training.run(steps)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # threads that wait for each other count as processor time
    try:
        pairs = [(training.run(5), profiled(5)) for _ in range(8)]
    finally:
        torch.set_num_threads(threads)
    plain, watched = min(a for a, _ in pairs), min(b for _, b in pairs)
    # Below 15 %; the bound leaves room for a machine that does other work meanwhile.
    print(f"overhead {100 * (watched / plain - 1):.1f} %")
    assert watched / plain < 1.5


def test_profile_of_nothing_and_of_other_threads() -> None:
    with torch.profile(show=False) as p:
        pass
    assert list(p.lines()) == ["(after the last operation)"]
    assert "wall time" in str(p)


def test_torch_profiler(tmp_path: Path) -> None:
    from flambeau.profiler import ProfilerActivity, profile, record_function

    training = Training()
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True, with_stack=True) as prof:
        named = record_function("two steps")
        with named:
            training.run(2)
    averages = prof.key_averages()
    by_key = {e.key: e for e in averages}
    assert by_key["aten::linear"].count == 4
    named = by_key["two steps"]
    assert named.cpu_time_total >= sum(e.cpu_time_total for e in averages if e is not named)
    assert named.self_cpu_time_total < named.cpu_time_total
    table = averages.table(sort_by="cpu_time_total", row_limit=3)
    assert table.splitlines()[3].split()[0] == "two" and "Self CPU time total" in table
    shapes = [e.input_shapes for e in prof.key_averages(group_by_input_shape=True)]
    assert [[128, 128], [256, 128], [256]] in shapes
    assert any("self.model" in e.stack[0] for e in prof.key_averages(group_by_stack_n=3) if e.stack)
    with pytest.raises(AttributeError, match="no column"):
        averages.table(sort_by="nothing")
    prof.export_chrome_trace(tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert {"two steps", "aten::linear"} <= {e["name"] for e in events}
    prof.export_stacks(tmp_path / "stacks.txt")
    assert "aten::linear" in (tmp_path / "stacks.txt").read_text()


def test_torch_profiler_follows_a_schedule(tmp_path: Path) -> None:
    from flambeau.profiler import profile, schedule, tensorboard_trace_handler

    plan = schedule(wait=1, warmup=1, active=2, repeat=1, skip_first=1)
    actions = [plan(i).name for i in range(7)]
    assert actions == ["NONE", "NONE", "WARMUP", "RECORD", "RECORD_AND_SAVE", "NONE", "NONE"]
    with pytest.raises(ValueError, match="Invalid profiler schedule"):
        schedule(wait=0, warmup=0, active=0)
    seen = []
    x = torch.ones(3)
    with profile(schedule=plan, on_trace_ready=lambda p: seen.append(p.key_averages())) as prof:
        with pytest.raises(AssertionError, match="nothing is recorded yet"):
            prof.events()
        for _ in range(7):
            x.exp()
            prof.step()
    (averages,) = seen
    assert [(e.key, e.count) for e in averages] == [("aten::exp", 2)]
    write = tensorboard_trace_handler(str(tmp_path / "logs"), "me")
    with profile(on_trace_ready=write):
        x.exp()
    (file,) = (tmp_path / "logs").iterdir()
    assert file.name.startswith("me.") and file.name.endswith(".pt.trace.json")
