"""apps/in_context: the transformer, against a dull NumPy GPT-2, and the published names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from in_context import checkpoints, model, runs

import flambeau as torch

DIMS, POINTS, WIDTH, LAYERS, HEADS = 3, 5, 8, 2, 2
BATCH = 4


@pytest.fixture(scope="module")
def net() -> torch.nn.Module:
    torch.manual_seed(0)
    return model.Transformer(DIMS, POINTS, WIDTH, LAYERS, HEADS, std=0.5)


@pytest.fixture(scope="module")
def prompt() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(BATCH, POINTS, DIMS), torch.randn(BATCH, POINTS)


def normalise(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * weight + bias


def dull_gpt2(state: dict[str, np.ndarray], xs: np.ndarray, ys: np.ndarray) -> np.ndarray:
    """One prompt, token by token: (points, dims) and (points,) -> (points,)."""
    tokens = []
    for x, y in zip(xs, ys):
        tokens += [x, np.array([y] + [0.0] * (len(x) - 1))]
    h = np.array(tokens) @ state["_read_in.weight"].T + state["_read_in.bias"]
    h = h + state["_backbone.wpe.weight"][: len(h)]
    for layer in range(LAYERS):
        part = {
            name.removeprefix(f"_backbone.h.{layer}."): value
            for name, value in state.items()
            if name.startswith(f"_backbone.h.{layer}.")
        }
        x = normalise(h, part["ln_1.weight"], part["ln_1.bias"])
        qkv = x @ part["attn.c_attn.weight"] + part["attn.c_attn.bias"]
        mixed = np.zeros_like(h)
        size = WIDTH // HEADS
        for head in range(HEADS):
            q, k, v = (qkv[:, i * WIDTH + head * size :][:, :size] for i in range(3))
            for t in range(len(h)):
                scores = np.exp(k[: t + 1] @ q[t] / np.sqrt(size))
                mixed[t, head * size :][:size] = scores @ v[: t + 1] / scores.sum()
        h = h + mixed @ part["attn.c_proj.weight"] + part["attn.c_proj.bias"]
        x = normalise(h, part["ln_2.weight"], part["ln_2.bias"])
        x = x @ part["mlp.c_fc.weight"] + part["mlp.c_fc.bias"]
        x = 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
        h = h + x @ part["mlp.c_proj.weight"] + part["mlp.c_proj.bias"]
    h = normalise(h, state["_backbone.ln_f.weight"], state["_backbone.ln_f.bias"])
    return (h @ state["_read_out.weight"].T + state["_read_out.bias"])[::2, 0]


def test_it_is_gpt2(net: torch.nn.Module, prompt: tuple[torch.Tensor, torch.Tensor]) -> None:
    state = {name: value.double().numpy() for name, value in net.state_dict().items()}
    xs, ys = prompt
    expected = [dull_gpt2(state, x, y) for x, y in zip(xs.double().numpy(), ys.double().numpy())]
    np.testing.assert_allclose(net(xs, ys).detach().numpy(), expected, rtol=2e-4, atol=2e-5)


def test_sequence() -> None:
    xs, ys = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), torch.tensor([[5.0, 6.0]])
    assert model.interleave(xs, ys).tolist() == [[[1, 2], [5, 0], [3, 4], [6, 0]]]
    one = model.interleave(torch.tensor([[[1.0], [3.0]]]), ys)
    assert one.tolist() == [[[1], [5], [3], [6]]]


def test_a_prediction_sees_only_what_comes_before(
    net: torch.nn.Module, prompt: tuple[torch.Tensor, torch.Tensor]
) -> None:
    xs, ys = prompt
    before = net(xs, ys)
    changed = ys.clone()
    changed[:, 2] += 5
    after = net(xs, changed)
    assert torch.equal(before[:, :3], after[:, :3])
    assert (before[:, 3:] != after[:, 3:]).all()
    shorter = net(xs[:, :3], ys[:, :3])
    np.testing.assert_allclose(shorter.detach(), before[:, :3].detach(), rtol=1e-4, atol=1e-5)


def test_questions_are_answered_as_if_each_stood_in_the_prompt(
    net: torch.nn.Module, prompt: tuple[torch.Tensor, torch.Tensor]
) -> None:
    xs, ys = prompt
    questions = torch.randn(BATCH, POINTS, DIMS)
    together = net(xs, ys, questions).detach()
    for i in range(POINTS):
        asked = torch.cat((xs[:, :i], questions[:, i : i + 1]), dim=1)
        alone = net(asked, ys[:, : i + 1])[:, i].detach()
        np.testing.assert_allclose(together[:, i], alone, rtol=1e-4, atol=1e-5)
    same = net(xs, ys, xs).detach()
    np.testing.assert_allclose(same, net(xs, ys).detach(), rtol=1e-4, atol=1e-5)


def test_attention_maps_are_what_the_model_uses(
    net: torch.nn.Module, prompt: tuple[torch.Tensor, torch.Tensor]
) -> None:
    xs, ys = prompt
    maps = net.attention(xs, ys)
    assert [tuple(one.shape) for one in maps] == [(BATCH, HEADS, 2 * POINTS, 2 * POINTS)] * LAYERS
    for one in maps:
        np.testing.assert_allclose(one.sum(3).detach(), 1, rtol=1e-5)
        assert (one.triu(1) == 0).all()
    block = net._backbone.h[0]
    x = block.ln_1(torch.randn(BATCH, 6, WIDTH))
    _, _, v = block.attn._split(x)
    mixed = (block.attn.weights(x) @ v).transpose(1, 2).reshape(x.shape)
    expected = block.attn.c_proj(mixed).detach()
    np.testing.assert_allclose(block.attn(x).detach(), expected, rtol=1e-4, atol=1e-5)


def test_initial_weights() -> None:
    torch.manual_seed(0)
    net = model.Transformer(5, 11, 64, 12, 2)
    block = net._backbone.h[3]
    assert block.attn.c_attn.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert block.mlp.c_proj.weight.std().item() == pytest.approx(0.02 / 24**0.5, rel=0.05)
    assert (block.mlp.c_fc.bias == 0).all()


def test_a_prompt_that_is_too_long_is_refused(net: torch.nn.Module) -> None:
    with pytest.raises(ValueError, match="6 examples, but the model was made for at most 5"):
        net(torch.zeros(1, 6, DIMS), torch.zeros(1, 6))


def published_state(seed: int = 0) -> dict[str, torch.Tensor]:
    """A state_dict with the names and shapes of the authors' code: GPT2Model of transformers."""
    torch.manual_seed(seed)
    shapes = {
        "_read_in.weight": (WIDTH, DIMS),
        "_read_in.bias": (WIDTH,),
        "_backbone.wte.weight": (50257, WIDTH),
        "_backbone.wpe.weight": (2 * POINTS, WIDTH),
    }
    for layer in range(LAYERS):
        block = {
            "ln_1.weight": (WIDTH,),
            "ln_1.bias": (WIDTH,),
            "attn.bias": (1, 1, 2 * POINTS, 2 * POINTS),
            "attn.masked_bias": (),
            "attn.c_attn.weight": (WIDTH, 3 * WIDTH),
            "attn.c_attn.bias": (3 * WIDTH,),
            "attn.c_proj.weight": (WIDTH, WIDTH),
            "attn.c_proj.bias": (WIDTH,),
            "ln_2.weight": (WIDTH,),
            "ln_2.bias": (WIDTH,),
            "mlp.c_fc.weight": (WIDTH, 4 * WIDTH),
            "mlp.c_fc.bias": (4 * WIDTH,),
            "mlp.c_proj.weight": (4 * WIDTH, WIDTH),
            "mlp.c_proj.bias": (WIDTH,),
        }
        shapes |= {f"_backbone.h.{layer}.{name}": shape for name, shape in block.items()}
    shapes |= {
        "_backbone.ln_f.weight": (WIDTH,),
        "_backbone.ln_f.bias": (WIDTH,),
        "_read_out.weight": (1, WIDTH),
        "_read_out.bias": (1,),
    }
    return {name: 0.3 * torch.randn(shape) for name, shape in shapes.items()}


PUBLISHED_CONFIG = {
    "model": {
        "family": "gpt2",
        "n_dims": DIMS,
        "n_positions": POINTS,
        "n_embd": WIDTH,
        "n_layer": LAYERS,
        "n_head": HEADS,
    },
    "training": {
        "task": "relu_2nn_regression",
        "task_kwargs": {"hidden_layer_size": 4},
        "data": "gaussian",
        "batch_size": 64,
        "learning_rate": 0.0001,
        "train_steps": 500001,
        "save_every_steps": 1000,
        "curriculum": {
            "dims": {"start": 2, "end": 3, "inc": 1, "interval": 2000},
            "points": {"start": 2, "end": 5, "inc": 3, "interval": 2000},
        },
    },
    "out_dir": "somewhere",
    "wandb": {"name": "relu"},
}


def test_the_published_names_load(prompt: tuple[torch.Tensor, torch.Tensor]) -> None:
    state = published_state()
    net = model.load_published(state, HEADS)
    assert (net.dims, net.points, len(net._backbone.h)) == (DIMS, POINTS, LAYERS)
    xs, ys = prompt
    arrays = {name: value.double().numpy() for name, value in state.items()}
    expected = dull_gpt2(arrays, xs[0].double().numpy(), ys[0].double().numpy())
    found = net(xs[:1], ys[:1]).detach().numpy()[0]
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-5)
    wrapped = {"model_state_dict": state, "optimizer_state_dict": {}, "train_step": 7}
    assert torch.equal(model.load_published(wrapped, HEADS)._read_out.weight, net._read_out.weight)


def test_published_states_that_do_not_fit_are_refused() -> None:
    state = published_state()
    del state["_backbone.ln_f.bias"]
    with pytest.raises(ValueError, match="_backbone.ln_f.bias"):
        model.load_published(state, HEADS)
    with pytest.raises(ValueError, match="it has no _read_in.weight"):
        model.load_published({"lstm.weight": torch.zeros(1)}, HEADS)


def test_a_published_folder_is_a_run(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(PUBLISHED_CONFIG))
    state = {"model_state_dict": published_state(), "train_step": 500000}
    checkpoints.write(tmp_path / "state.pt", state)
    run = runs.load_run(tmp_path)
    assert run.step == 500000
    assert run.settings.task.model_dump() == {"name": "relu_network", "hidden": 4, "scale": 1.0}
    assert run.settings.points == POINTS
    assert torch.equal(run.model._read_in.weight, published_state()["_read_in.weight"])
    checkpoints.write(tmp_path / "model_5.pt", published_state(1))
    assert runs.load_run(tmp_path, 5).step == 5
    with pytest.raises(checkpoints.BadRun, match=r"kept no weights of step 6; it kept \[5\]"):
        runs.load_run(tmp_path, 6)
