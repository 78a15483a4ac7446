"""Two of the workloads written for JAX: the whole step as one function under `jax.jit`, with its
state given back (donated), as JAX's users write it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Unit = Callable[[], Any]


def _normal(key: Any, *shape: int) -> Any:
    return jax.random.normal(key, shape)


def _cross_entropy(scores: Any, targets: Any) -> Any:
    logs = jax.nn.log_softmax(scores)
    return -jnp.take_along_axis(logs, targets[:, None], 1).mean()


def char_mlp() -> Unit:
    """`workloads.char_mlp`."""
    keys = iter(jax.random.split(jax.random.key(0), 8))
    contexts = jax.random.randint(next(keys), (20_000, 3), 0, 27)
    targets = jax.random.randint(next(keys), (20_000,), 0, 27)
    state = {
        "C": _normal(next(keys), 27, 10),
        "W1": _normal(next(keys), 30, 200) * 0.3,
        "b1": jnp.zeros(200),
        "W2": _normal(next(keys), 200, 27) * 0.01,
        "b2": jnp.zeros(27),
    }
    random = next(keys)

    def loss_of(p: dict[str, Any], rows: Any) -> Any:
        h = jnp.tanh(p["C"][contexts[rows]].reshape(-1, 30) @ p["W1"] + p["b1"])
        return _cross_entropy(h @ p["W2"] + p["b2"], targets[rows])

    def step(p: dict[str, Any], key: Any) -> tuple[Any, Any, Any]:
        key, own = jax.random.split(key)
        rows = jax.random.randint(own, (32,), 0, 20_000)
        loss, grads = jax.value_and_grad(loss_of)(p, rows)
        return loss, jax.tree.map(lambda a, g: a - 0.1 * g, p, grads), key

    compiled = jax.jit(step, donate_argnums=(0, 1))

    def unit() -> Any:
        nonlocal state, random
        loss, state, random = compiled(state, random)
        return loss.block_until_ready()

    return unit


def gpt() -> Unit:
    """`workloads.gpt`: 4 layers of width 128, 4 heads, 64 of context, batch 12, AdamW."""
    layers, width, heads, block, batch, characters = 4, 128, 4, 64, 12, 65
    keys = iter(jax.random.split(jax.random.key(0), 64))

    def linear(inner: int, outer: int) -> dict[str, Any]:
        return {"w": _normal(next(keys), inner, outer) / inner**0.5, "b": jnp.zeros(outer)}

    def norm() -> dict[str, Any]:
        return {"w": jnp.ones(width), "b": jnp.zeros(width)}

    parameters = {
        "tokens": _normal(next(keys), characters, width),
        "places": _normal(next(keys), block, width),
        "blocks": [
            {
                "norms": [norm(), norm()],
                "qkv": linear(width, 3 * width),
                "joined": linear(width, width),
                "mlp": [linear(width, 4 * width), linear(4 * width, width)],
            }
            for _ in range(layers)
        ],
        "norm": norm(),
        "head": linear(width, characters),
    }
    means = jax.tree.map(lambda a: (jnp.zeros_like(a), jnp.zeros_like(a)), parameters)
    tokens = jax.random.randint(next(keys), (batch, block), 0, characters)
    targets = jax.random.randint(next(keys), (batch * block,), 0, characters)

    def apply(p: dict[str, Any], x: Any) -> Any:
        return x @ p["w"] + p["b"]

    def normed(p: dict[str, Any], x: Any) -> Any:
        x = x - x.mean(-1, keepdims=True)
        return x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-5) * p["w"] + p["b"]

    def loss_of(p: dict[str, Any]) -> Any:
        x = p["tokens"][tokens] + p["places"]
        for b in p["blocks"]:
            parts = jnp.split(apply(b["qkv"], normed(b["norms"][0], x)), 3, -1)
            q, k, v = (t.reshape(batch, block, heads, width // heads) for t in parts)
            y = jax.nn.dot_product_attention(q, k, v, is_causal=True)
            x = x + apply(b["joined"], y.reshape(x.shape))
            inner = jax.nn.gelu(apply(b["mlp"][0], normed(b["norms"][1], x)), approximate=False)
            x = x + apply(b["mlp"][1], inner)
        scores = apply(p["head"], normed(p["norm"], x)).reshape(-1, characters)
        return _cross_entropy(scores, targets)

    def step(p: Any, means: Any, t: Any) -> tuple[Any, Any, Any, Any]:
        loss, grads = jax.value_and_grad(loss_of)(p)
        t = t + 1

        def changed(a: Any, g: Any, pair: tuple[Any, Any]) -> tuple[Any, Any, Any]:
            m, v = 0.9 * pair[0] + 0.1 * g, 0.999 * pair[1] + 0.001 * g * g
            direction = (m / (1 - 0.9**t)) / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-8)
            return a * (1 - 1e-3 * 0.01) - 1e-3 * direction, m, v

        flat, tree = jax.tree.flatten(p)
        new = [
            changed(a, g, pair)
            for a, g, pair in zip(
                flat, jax.tree.leaves(grads), tree.flatten_up_to(means), strict=True
            )
        ]
        p = tree.unflatten([a for a, _, _ in new])
        return loss, p, tree.unflatten([(m, v) for _, m, v in new]), t

    compiled = jax.jit(step, donate_argnums=(0, 1))
    state = (parameters, means, jnp.zeros(()))

    def unit() -> Any:
        nonlocal state
        loss, *rest = compiled(*state)
        state = tuple(rest)
        return loss.block_until_ready()

    return unit


WORKLOADS: dict[str, Callable[[], Unit]] = {"char_mlp": char_mlp, "gpt": gpt}
