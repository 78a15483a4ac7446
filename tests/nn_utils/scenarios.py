"""What nn.utils does, as functions of the library ``t``; golden.json holds PyTorch's answers."""

from __future__ import annotations

import copy
import functools
import importlib
import pickle
import warnings
from collections.abc import Callable
from typing import Any


def _utils(t: Any) -> Any:
    return importlib.import_module(f"{t.__name__}.nn.utils")


def _prune(t: Any) -> Any:
    return importlib.import_module(f"{t.__name__}.nn.utils.prune")


def _linear(t: Any, rows: int = 3, columns: int = 4) -> Any:
    """A layer whose numbers do not hang on rounding."""
    t.manual_seed(0)
    return t.nn.Linear(columns, rows).double()


def _rounded(tensor: Any) -> Any:
    return (tensor.detach().double() * 1e4).round().tolist()


def _refused(act: Callable[[], Any]) -> str:
    try:
        act()
    except Exception as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0][:70]}"
    return "accepted"


# ---- gradients -----------------------------------------------------------------------------


def norms_of_gradients_are_clipped(t: Any) -> Any:
    answers = []
    utils = _utils(t)
    for kind in (2, 1, 0, 3.5, float("inf"), -float("inf"), "inf"):
        for most in (1.0, 100.0, 0):
            p, q = t.nn.Parameter(t.ones(2)), t.nn.Parameter(t.ones(2, 1))
            p.grad, q.grad = t.tensor([3.0, -4.0]), t.tensor([[12.0], [0.5]])
            norm = utils.clip_grad_norm_([p, q, t.nn.Parameter(t.ones(1))], most, norm_type=kind)
            answers.append([_rounded(norm), _rounded(p.grad), _rounded(q.grad)])
    return answers


def odd_gradients_are_clipped(t: Any) -> Any:
    utils = _utils(t)
    p = t.nn.Parameter(t.ones(2))
    answers = [utils.clip_grad_norm_([], 1.0).tolist(), utils.clip_grad_norm_(p, 1.0).tolist()]
    p.grad = t.tensor([float("nan"), 1.0])
    answers.append(_refused(lambda: utils.clip_grad_norm_(p, 1.0, error_if_nonfinite=True)))
    utils.clip_grad_value_(p, 0.5)
    answers.append(p.grad.tolist())
    utils.clip_grad_norm_((x for x in [p]), 1.0)
    answers.append(p.grad.tolist())
    answers.append(utils.get_total_norm([t.ones(2), t.ones(7)]).tolist())
    answers.append(utils.get_total_norm(t.ones(4), 1).tolist())
    half = t.nn.Parameter(t.ones(2, dtype=t.bfloat16))
    half.grad = t.full((2,), 4.0, dtype=t.bfloat16)
    utils.clip_grad_norm_([half], 1.0)
    answers.append([str(half.grad.dtype).split(".")[-1], half.grad.tolist()])
    p.grad = t.tensor([3.0, 4.0])
    utils.clip_grads_with_norm_([p], 1.0, t.tensor(10.0))
    return [*answers, _rounded(p.grad)]


def parameters_as_one_vector(t: Any) -> Any:
    utils = _utils(t)
    layer = _linear(t, 2, 2)
    vector = utils.parameters_to_vector(layer.parameters())
    answers = [_rounded(vector), vector.requires_grad]
    new = t.arange(6.0).double()
    utils.vector_to_parameters(new, layer.parameters())
    new[0] = 9
    answers += [layer.weight.tolist(), layer.bias.tolist()]
    answers.append(_refused(lambda: utils.vector_to_parameters([1], layer.parameters())))
    answers.append(_refused(lambda: utils.vector_to_parameters(new[:3], layer.parameters())))
    return answers


# ---- norms of weights ----------------------------------------------------------------------


def _trained(t: Any, layer: Any, steps: int = 2) -> list[Any]:
    optimizer = t.optim.SGD(layer.parameters(), lr=0.1)
    x = t.arange(8.0).double().view(2, 4) / 4
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = layer(x).sin().sum()
        loss.backward()
        optimizer.step()
        losses.append(_rounded(loss))
    return [losses, _rounded(layer.weight)]


def _keys(layer: Any) -> list[Any]:
    return [sorted(layer.state_dict()), [n for n, _ in layer.named_parameters()], repr(layer)]


def weight_norm_by_a_hook(t: Any) -> Any:
    utils = _utils(t)
    answers = []
    for dim in (0, 1, None, -1):
        layer = utils.weight_norm(_linear(t), dim=dim)
        answers += [_keys(layer), _rounded(layer.weight_g), *_trained(t, layer)]
        answers.append(_refused(lambda layer=layer: utils.weight_norm(layer)))
        utils.remove_weight_norm(layer)
        answers += [_keys(layer), _rounded(layer.weight)]
        answers.append(_refused(lambda layer=layer: utils.remove_weight_norm(layer)))
    return answers


def spectral_norm_by_a_hook(t: Any) -> Any:
    utils = _utils(t)
    answers = []
    for options in ({}, {"n_power_iterations": 3, "dim": 1}):
        layer = utils.spectral_norm(_linear(t), **options)
        answers += [_keys(layer), *_trained(t, layer)]
        layer.eval()
        answers.append(_rounded(layer(t.ones(1, 4).double())))
        answers.append(_rounded(layer.weight_u))
        answers.append(_refused(lambda layer=layer: utils.spectral_norm(layer)))
        utils.remove_spectral_norm(layer)
        answers += [_keys(layer), _rounded(layer.weight)]
        answers.append(_refused(lambda layer=layer: utils.remove_spectral_norm(layer)))
    t.manual_seed(0)
    layer = utils.spectral_norm(t.nn.ConvTranspose2d(2, 3, 2).double())
    answers.append([list(layer.weight_u.shape), list(layer.weight_v.shape)])
    answers.append(_rounded(layer(t.ones(1, 2, 3, 3).double()).sum()))
    return answers


def norms_by_parametrization(t: Any) -> Any:
    p = _utils(t).parametrizations
    answers = []
    for make in (
        lambda layer: p.weight_norm(layer),
        lambda layer: p.weight_norm(layer, dim=1),
        lambda layer: p.weight_norm(layer, dim=None),
        lambda layer: p.spectral_norm(layer, n_power_iterations=2),
        lambda layer: p.spectral_norm(layer, "bias"),
    ):
        layer = make(_linear(t))
        answers += [_keys(layer), *_trained(t, layer)]
        twin = copy.deepcopy(layer)
        answers.append(_rounded(twin.eval()(t.ones(1, 4).double())))
        twin.load_state_dict(layer.state_dict())
    old = _utils(t).weight_norm(_linear(t))
    new = p.weight_norm(_linear(t))
    answers.append(str(new.load_state_dict(old.state_dict())))
    answers.append(_refused(lambda: p.spectral_norm(_linear(t), "nope")))
    answers.append(_refused(lambda: p.spectral_norm(_linear(t), n_power_iterations=0)))
    answers.append(_refused(lambda: p.spectral_norm(_linear(t), dim=2)))
    return answers


def orthogonal_matrices(t: Any) -> Any:
    p = _utils(t).parametrizations
    answers = []
    for rows, columns in ((3, 3), (4, 2), (2, 4)):
        for which in ("matrix_exp", "cayley", "householder", None):
            for trivial in (True, False):
                layer = _linear(t, rows, columns)
                p.orthogonal(layer, orthogonal_map=which, use_trivialization=trivial)
                q = layer.weight
                answers.append([*_keys(layer), _rounded(q)])
                (q * t.arange(q.numel()).view(q.shape)).sum().backward()
                answers.append([_rounded(x.grad) for x in layer.parameters() if x.grad is not None])
                if trivial or which in ("householder",):
                    layer.weight = t.eye(rows, columns).double()
                    answers.append(_rounded(layer.weight))
    answers.append(_refused(lambda: p.orthogonal(_linear(t), orthogonal_map="x")))
    answers.append(_refused(lambda: p.orthogonal(_linear(t), "bias")))
    answers.append(_refused(lambda: p.orthogonal(_linear(t), "nope")))
    return answers


# ---- parametrizations ----------------------------------------------------------------------


def _parts(t: Any) -> dict[str, type]:
    class Symmetric(t.nn.Module):
        def forward(self, x: Any) -> Any:
            return x.triu() + x.triu(1).T

        def right_inverse(self, a: Any) -> Any:
            return a.triu()

    class Double(t.nn.Module):
        def forward(self, x: Any) -> Any:
            return 2 * x

    class Product(t.nn.Module):
        def forward(self, a: Any, b: Any) -> Any:
            return a @ b

        def right_inverse(self, w: Any) -> Any:
            return w[:, :1], w[:1]

    class Shorter(t.nn.Module):
        def forward(self, x: Any) -> Any:
            return x[:2]

    class Wider(t.nn.Module):
        def forward(self, x: Any) -> Any:
            return x.float()

    class Number(t.nn.Module):
        def forward(self, x: Any) -> Any:
            return 3

    class ShorterBack(t.nn.Module):
        def forward(self, x: Any) -> Any:
            return x

        def right_inverse(self, x: Any) -> Any:
            return x[:2]

    class WiderBack(t.nn.Module):
        def forward(self, x: Any) -> Any:
            return x

        def right_inverse(self, x: Any) -> Any:
            return x.float()

    return {k: v for k, v in locals().items() if k != "t"}


def a_tensor_is_parametrized(t: Any) -> Any:
    p, parts = _utils(t).parametrize, _parts(t)
    layer = _linear(t, 3, 3)
    weight = layer.weight
    p.register_parametrization(layer, "weight", parts["Symmetric"]())
    answers = [_keys(layer), type(layer).__name__, p.type_before_parametrizations(layer).__name__]
    answers.append([p.is_parametrized(layer), p.is_parametrized(layer, "bias")])
    answers.append(layer.parametrizations.weight.original is weight)
    answers.append(isinstance(layer, t.nn.Linear))
    layer.weight = t.arange(9.0).view(3, 3).double()
    answers += [layer.parametrizations.weight.original.tolist(), layer.weight.tolist()]
    p.register_parametrization(layer, "weight", parts["Double"]())
    answers += [layer.weight.tolist(), _keys(layer)]
    answers.append(_refused(lambda: setattr(layer, "weight", weight)))
    answers.append(_refused(lambda: pickle.dumps(layer)))
    twin = copy.deepcopy(layer)
    answers += [_keys(twin), type(twin).__name__, twin.weight.tolist()]
    p.remove_parametrizations(layer, "weight", leave_parametrized=False)
    answers += [layer.weight.tolist(), layer.weight is weight]
    answers.append(_refused(lambda: p.remove_parametrizations(layer, "weight")))
    return answers


def a_tensor_is_computed_from_two(t: Any) -> Any:
    p, parts = _utils(t).parametrize, _parts(t)
    layer = _linear(t, 3, 3)
    p.register_parametrization(layer, "weight", parts["Product"]())
    answers = [_keys(layer), _rounded(layer.weight)]
    layer.weight.sum().backward()
    answers += [_rounded(x.grad) for x in layer.parameters() if x.grad is not None]
    layer.weight = t.arange(9.0).view(3, 3).double()
    answers.append(layer.weight.tolist())
    refuse = lambda: p.remove_parametrizations(layer, "weight", leave_parametrized=False)
    answers.append(_refused(refuse))
    p.remove_parametrizations(layer, "weight")
    return [*answers, _keys(layer), layer.weight.tolist(), layer.weight.requires_grad]


def a_buffer_is_parametrized(t: Any) -> Any:
    p, parts = _utils(t).parametrize, _parts(t)
    module = t.nn.Module()
    module.register_buffer("scale", t.arange(4.0).view(2, 2))
    p.register_parametrization(module, "scale", parts["Symmetric"]())
    answers = [sorted(module.state_dict()), module.scale.tolist(), len(list(module.buffers()))]
    p.remove_parametrizations(module, "scale")
    return [*answers, sorted(module.state_dict()), len(list(module.parameters()))]


def parametrizations_that_do_not_fit(t: Any) -> Any:
    p, parts = _utils(t).parametrize, _parts(t)
    answers = []
    for name, part in parts.items():
        for unsafe in (False, True):
            register = functools.partial(p.register_parametrization, _linear(t, 3, 3), "weight")
            refused = _refused(functools.partial(register, part(), unsafe=unsafe))
            answers.append([name, unsafe, refused])
    answers.append(
        _refused(lambda: p.register_parametrization(_linear(t), "nope", parts["Double"]()))
    )
    layer = _linear(t, 3, 3)
    p.register_parametrization(layer, "weight", parts["Double"]())
    for name in ("Shorter", "Wider", "Number"):
        answers.append(
            _refused(lambda name=name: p.register_parametrization(layer, "weight", parts[name]()))
        )
    return answers


def cached_parametrizations(t: Any) -> Any:
    p = _utils(t).parametrize
    calls = []

    class Counted(t.nn.Module):
        def forward(self, x: Any) -> Any:
            calls.append(1)
            return x + 1

    layer = _linear(t)
    p.register_parametrization(layer, "weight", Counted())
    calls.clear()
    layer.weight, layer.weight  # noqa: B018
    counts = [len(calls)]
    with p.cached():
        same = layer.weight is layer.weight
        with p.cached():
            same = same and layer.weight is layer.weight
        counts.append(len(calls))
    layer.weight  # noqa: B018
    return [*counts, len(calls), same]


def parametrizations_are_transferred(t: Any) -> Any:
    p, parts = _utils(t).parametrize, _parts(t)
    one, other = _linear(t, 3, 3), t.nn.Linear(3, 3).double()
    p.register_parametrization(one, "weight", parts["Symmetric"]())
    p.transfer_parametrizations_and_params(one, other)
    return [_keys(other), t.equal(one.weight, other.weight)]


# ---- pruning -------------------------------------------------------------------------------


def pruning(t: Any) -> Any:
    prune = _prune(t)
    answers = []
    for act in (
        lambda m: prune.identity(m, "weight"),
        lambda m: prune.random_unstructured(m, "weight", 5),
        lambda m: prune.random_unstructured(m, "weight", 0.25),
        lambda m: prune.l1_unstructured(m, "weight", 0.5),
        lambda m: prune.l1_unstructured(m, "bias", 0),
        lambda m: prune.random_structured(m, "weight", 2, dim=1),
        lambda m: prune.random_structured(m, "weight", 0.3, dim=0),
        lambda m: prune.ln_structured(m, "weight", 2, n=2, dim=1),
        lambda m: prune.ln_structured(m, "weight", 1, n=float("inf"), dim=-2),
        lambda m: prune.custom_from_mask(m, "bias", t.tensor([1.0, 0.0, 1.0]).double()),
        lambda m: prune.l1_unstructured(
            m, "bias", 1, importance_scores=t.tensor([3.0, 1.0, 2.0]).double()
        ),
    ):
        layer = act(_linear(t))
        answers.append([_keys(layer), _rounded(layer.weight), _rounded(layer.bias)])
        answers.append([prune.is_pruned(layer), *_trained(t, layer)])
    return answers


def pruning_again_and_undoing_it(t: Any) -> Any:
    prune = _prune(t)
    layer = _linear(t)
    prune.l1_unstructured(layer, "weight", 0.25)
    prune.ln_structured(layer, "weight", 1, n=2, dim=0)
    prune.l1_unstructured(layer, "weight", 2)
    hook = next(iter(layer._forward_pre_hooks.values()))
    answers = [_keys(layer), _rounded(layer.weight_mask), type(hook).__name__, len(hook)]
    original = layer.weight_orig
    prune.remove(layer, "weight")
    answers += [_keys(layer), _rounded(layer.weight), layer.weight is original]
    answers.append([prune.is_pruned(layer), _refused(lambda: prune.remove(layer, "weight"))])
    return answers


def pruning_of_several_layers(t: Any) -> Any:
    prune = _prune(t)
    net = t.nn.Sequential(_linear(t), _linear(t, 2, 3))
    pairs = [(net[0], "weight"), (net[1], "weight"), (net[1], "bias")]
    prune.global_unstructured(pairs, prune.L1Unstructured, amount=7)
    first = [_rounded(getattr(m, n + "_mask")) for m, n in pairs]
    prune.global_unstructured(pairs, prune.L1Unstructured, amount=0.5)
    return [first, [_rounded(getattr(m, n + "_mask")) for m, n in pairs], sorted(net.state_dict())]


def pruning_refused(t: Any) -> Any:
    prune = _prune(t)
    return [
        _refused(lambda: prune.l1_unstructured(_linear(t), "weight", 13)),
        _refused(lambda: prune.l1_unstructured(_linear(t), "weight", 1.5)),
        _refused(lambda: prune.l1_unstructured(_linear(t), "weight", -1)),
        _refused(lambda: prune.l1_unstructured(_linear(t), "weight", "x")),
        _refused(lambda: prune.ln_structured(_linear(t), "bias", 1, n=2, dim=0)),
        _refused(lambda: prune.ln_structured(_linear(t), "weight", 1, n=2, dim=5)),
        _refused(lambda: prune.global_unstructured(3, prune.L1Unstructured, amount=1)),
        _refused(lambda: prune.BasePruningMethod())[:40],
    ]


def a_tensor_is_pruned_without_a_module(t: Any) -> Any:
    prune = _prune(t)
    x = t.tensor([3.0, -1.0, 2.0, 0.5])
    return [
        prune.L1Unstructured(2).prune(x).tolist(),
        prune.L1Unstructured(1).prune(x, default_mask=t.tensor([0.0, 1.0, 1.0, 1.0])).tolist(),
        prune.L1Unstructured(1).prune(x, importance_scores=-x).tolist(),
    ]


# ---- the rest ------------------------------------------------------------------------------


def layers_are_fused_with_their_batch_norm(t: Any) -> Any:
    fusion = importlib.import_module(f"{t.__name__}.nn.utils.fusion")
    answers = []
    t.manual_seed(0)
    for layer, norm, x in (
        (t.nn.Conv2d(2, 3, 2), t.nn.BatchNorm2d(3), t.randn(1, 2, 4, 4)),
        (t.nn.Conv1d(2, 3, 2, bias=False), t.nn.BatchNorm1d(3, affine=False), t.randn(1, 2, 4)),
        (t.nn.ConvTranspose2d(2, 3, 2), t.nn.BatchNorm2d(3), t.randn(1, 2, 4, 4)),
        (t.nn.Linear(2, 3), t.nn.BatchNorm1d(3), t.randn(2, 2)),
    ):
        norm.running_mean.uniform_()
        norm.running_var.uniform_(0.5, 2)
        layer, norm, x = layer.double().eval(), norm.double().eval(), x.double()
        if isinstance(layer, t.nn.Linear):
            fused = fusion.fuse_linear_bn_eval(layer, norm)
        else:
            turned = isinstance(layer, t.nn.ConvTranspose2d)
            fused = fusion.fuse_conv_bn_eval(layer, norm, turned)
        close = t.allclose(fused(x), norm(layer(x)))
        answers.append([repr(fused), close, _rounded(fused.bias), _rounded(fused.weight)])
    answers.append(_refused(lambda: fusion.fuse_conv_bn_eval(layer.train(), norm)))
    return answers


def a_module_is_called_with_other_tensors(t: Any) -> Any:
    stateless = _utils(t).stateless
    net = t.nn.Sequential(t.nn.Linear(2, 2), t.nn.BatchNorm1d(2)).double()
    x = t.arange(4.0).view(2, 2).double()
    given = {"0.weight": t.eye(2).double(), "0.bias": t.zeros(2).double()}
    before = net[0].weight

    def call(*args: Any, **kwargs: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return stateless.functional_call(net, *args, **kwargs)

    answers = [_rounded(call(given, x)), net[0].weight is before]
    answers.append(net[1].num_batches_tracked.item())
    statistics = {"1.running_mean": t.zeros(2).double(), "1.num_batches_tracked": t.tensor(5)}
    call({**given, **statistics}, (x,), {})
    answers += [net[1].num_batches_tracked.item(), statistics["1.num_batches_tracked"].item()]
    answers.append(_rounded(statistics["1.running_mean"]))
    answers.append(_refused(lambda: call({"0.nope": x}, x))[:20])
    answers.append(_refused(lambda: call(given, x, strict=True)))
    answers.append(_refused(lambda: call({"5.weight": x}, x)))
    answers.append(_refused(lambda: call({"0.in_features": x}, x)))
    answers.append(_refused(lambda: call({"0.weight": 3}, x)))
    weight = t.eye(2).double().requires_grad_()
    call({"0.weight": weight}, x).sin().sum().backward()
    return [*answers, _rounded(weight.grad), net[0].weight.grad is None]


def tied_tensors_are_replaced_together(t: Any) -> Any:
    stateless = _utils(t).stateless
    net = t.nn.Sequential(t.nn.Linear(2, 2, bias=False), t.nn.Linear(2, 2, bias=False))
    net[1].weight = net[0].weight
    x, two = t.ones(1, 2), 2 * t.eye(2)

    def call(*args: Any, **kwargs: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return stateless.functional_call(net, *args, **kwargs)

    answers = [call({"0.weight": two}, x).tolist(), call({"1.weight": two}, x).tolist()]
    both = {"0.weight": two, "1.weight": t.eye(2)}
    answers.append(_refused(lambda: call(both, x))[:50])
    return [*answers, call(both, x, tie_weights=False).tolist()]


def weights_of_convolutions_in_another_layout(t: Any) -> Any:
    utils = _utils(t)
    net = t.nn.Sequential(t.nn.Conv2d(3, 4, 2), t.nn.Conv1d(3, 4, 2), t.nn.ConvTranspose2d(2, 4, 3))
    utils.convert_conv2d_weight_memory_format(net, t.channels_last)
    return [list(m.weight.stride()) for m in net]


def initialisation_is_skipped(t: Any) -> Any:
    utils = _utils(t)
    t.manual_seed(0)
    layer = utils.skip_init(t.nn.Linear, 3, 2, dtype=t.float64)
    answers = [repr(layer), str(layer.weight.dtype).split(".")[-1], t.rand(2).tolist()]
    answers.append(_refused(lambda: utils.skip_init(t.nn.ReLU)))
    answers.append(_refused(lambda: utils.skip_init(int)))
    return answers
