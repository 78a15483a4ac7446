"""What modules do, as functions of the library ``t``; golden.json holds PyTorch's answers."""

from __future__ import annotations

import copy
import importlib
import pickle
import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any


def _refused(act: Callable[[], Any]) -> str:
    try:
        act()
    except Exception as error:
        return f"{type(error).__name__}: {str(error).strip(chr(39)).splitlines()[0][:75]}"
    return "accepted"


def _rounded(tensor: Any) -> Any:
    return (tensor.detach().double() * 1e4).round().tolist()


def _net(t: Any) -> Any:
    t.manual_seed(0)
    layers = OrderedDict(
        [("first", t.nn.Linear(2, 3)), ("norm", t.nn.BatchNorm1d(3)), ("last", t.nn.Linear(3, 1))]
    )
    return t.nn.Sequential(layers).double()


def _x(t: Any) -> Any:
    return t.arange(8.0).double().view(4, 2)


# ---- hooks ---------------------------------------------------------------------------------


def forward_hooks(t: Any) -> Any:
    net, seen = _net(t), []
    handles = [
        net.register_forward_pre_hook(lambda m, a: seen.append(["pre", len(a)])),
        net.register_forward_pre_hook(lambda m, a: (a[0] * 2,)),
        net.register_forward_pre_hook(lambda m, a: a[0] + 1, prepend=True),
        net.register_forward_pre_hook(
            lambda m, a, k: seen.append(["with", sorted(k)]), with_kwargs=True
        ),
        net.register_forward_hook(lambda m, a, out: seen.append(["post", len(a), list(out.shape)])),
        net.register_forward_hook(lambda m, a, out: out * 10),
        net.register_forward_hook(lambda m, a, k, out: out + len(k), with_kwargs=True),
        net.register_forward_hook(lambda m, a, out: seen.append("first"), prepend=True),
    ]
    answers = [_rounded(net(_x(t))), len(net._forward_hooks), len(net._forward_pre_hooks)]
    for handle in handles:
        handle.remove()
    return [*answers, seen, _rounded(net(_x(t))), len(net._forward_hooks)]


def forward_pre_hooks_that_return_nonsense(t: Any) -> Any:
    net = _net(t)
    net.register_forward_pre_hook(lambda m, a, k: 3, with_kwargs=True)
    return _refused(lambda: net(_x(t)))


def hooks_that_are_always_called(t: Any) -> Any:
    class Broken(t.nn.Module):
        def forward(self, x: Any) -> Any:
            raise ValueError("broken")

    net, seen = Broken(), []
    net.register_forward_hook(lambda m, a, out: seen.append("never"))
    net.register_forward_hook(lambda m, a, out: seen.append(["always", out]), always_call=True)
    return [_refused(lambda: net(_x(t))), seen]


def backward_hooks(t: Any) -> Any:
    net, seen = _net(t), []
    net.first.register_full_backward_pre_hook(lambda m, g: seen.append(["pre", len(g)]))
    net.first.register_full_backward_hook(
        lambda m, i, o: seen.append([i[0] is None, _rounded(o[0])])
    )
    net.last.register_full_backward_hook(lambda m, i, o: (i[0] * 2,))
    net(_x(t)).sum().backward()
    return [seen, _rounded(net.first.weight.grad)]


def hooks_of_all_modules(t: Any) -> Any:
    module = importlib.import_module(f"{t.__name__}.nn.modules.module")
    net, seen = _net(t), []

    def note(kind: str) -> Callable[..., None]:
        return lambda m, *rest: seen.append([kind, type(m).__name__])

    handles = [
        module.register_module_forward_pre_hook(note("pre")),
        module.register_module_forward_hook(note("post")),
        module.register_module_full_backward_hook(note("backward")),
        module.register_module_full_backward_pre_hook(note("backward pre")),
    ]
    net(_x(t)).sum().backward()
    for handle in handles:
        handle.remove()
    net(_x(t))
    return seen


def hooks_on_registration(t: Any) -> Any:
    module = importlib.import_module(f"{t.__name__}.nn.modules.module")
    seen = []
    handles = [
        module.register_module_parameter_registration_hook(lambda m, n, p: seen.append(["p", n])),
        module.register_module_buffer_registration_hook(lambda m, n, b: seen.append(["b", n])),
        module.register_module_module_registration_hook(lambda m, n, c: seen.append(["m", n])),
    ]
    net = t.nn.Sequential(t.nn.BatchNorm1d(2))
    net.add_module("more", t.nn.Linear(1, 1))
    net.later = t.nn.ReLU()
    for handle in handles:
        handle.remove()
    return seen


def hooks_around_state_dicts(t: Any) -> Any:
    net, seen = _net(t), []
    net.register_state_dict_pre_hook(lambda m, prefix, keep: seen.append(["pre", prefix, keep]))
    net.first.register_state_dict_post_hook(
        lambda m, s, prefix, meta: s.__delitem__(prefix + "bias")
    )
    net.first.register_load_state_dict_pre_hook(
        lambda m, s, prefix, *rest: s.setdefault(prefix + "bias", m.bias.data)
    )
    net.register_load_state_dict_post_hook(
        lambda m, keys: seen.append([keys.missing_keys, keys.unexpected_keys])
    )
    state = net.state_dict()
    return [list(state), str(net.load_state_dict(state)), seen]


# ---- state -----------------------------------------------------------------------------------


def state_dicts(t: Any) -> Any:
    net = _net(t)
    state = net.state_dict()
    answers = [list(state), state["first.weight"].requires_grad]
    answers.append({k: dict(v) for k, v in state._metadata.items()})
    answers.append(state["first.weight"].data_ptr() == net.first.weight.data_ptr())
    kept = net.state_dict(keep_vars=True, prefix="net.")
    answers += [list(kept), kept["net.first.weight"] is net.first.weight]
    return [*answers, type(state).__name__, list(net.first.state_dict(prefix="x."))]


def loading_state_dicts(t: Any) -> Any:
    net, other = _net(t), _net(t)
    state = OrderedDict((k, v + 1) for k, v in net.state_dict().items())
    weight = other.first.weight
    answers = [str(other.load_state_dict(state)), other.first.weight is weight]
    answers.append(t.equal(other.first.weight, net.first.weight + 1))
    part = {k: v for k, v in state.items() if not k.startswith("last")}
    answers.append(_refused(lambda: other.load_state_dict(part)))
    answers.append(str(other.load_state_dict({**part, "more": 1}, strict=False)))
    answers.append(_refused(lambda: other.load_state_dict({**state, "more": 1})))
    answers.append(_refused(lambda: other.load_state_dict({**state, "last.bias": t.ones(2)})))
    answers.append(
        _refused(lambda: other.load_state_dict({**state, "last.bias": t.ones(2)}, False))
    )
    answers.append(_refused(lambda: other.load_state_dict(3)))
    answers.append(_refused(lambda: other.load_state_dict({**state, "last.bias": 3})))
    single = {**state, "last.bias": t.tensor(7.0)}
    answers.append(_refused(lambda: other.load_state_dict(single)))
    other.load_state_dict({**state, "last.bias": t.tensor([7])})
    return [*answers, str(other.last.bias.dtype).split(".")[-1], other.last.bias.tolist()]


def loading_by_assignment(t: Any) -> Any:
    net, other = _net(t), _net(t)
    other.first.weight.requires_grad_(False)
    state = {k: v.float() if v.is_floating_point() else v for k, v in net.state_dict().items()}
    other.load_state_dict(state, assign=True)
    return [
        str(other.first.weight.dtype).split(".")[-1],
        other.first.weight.data_ptr() == state["first.weight"].data_ptr(),
        isinstance(other.first.weight, t.nn.Parameter),
        [p.requires_grad for p in other.parameters()],
        other.norm.running_mean is state["norm.running_mean"],
        other.norm.num_batches_tracked is state["norm.num_batches_tracked"],
    ]


def extra_state(t: Any) -> Any:
    class Counting(t.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.count = 3

        def get_extra_state(self) -> Any:
            return {"count": self.count}

        def set_extra_state(self, state: Any) -> None:
            self.count = state["count"]

    net = t.nn.Sequential(Counting(), t.nn.Linear(1, 1))
    state = net.state_dict()
    state["0._extra_state"]["count"] = 5
    other = t.nn.Sequential(Counting(), t.nn.Linear(1, 1))
    answers = [list(state), str(other.load_state_dict(state)), other[0].count]
    del state["0._extra_state"]
    answers.append(_refused(lambda: other.load_state_dict(state)))
    plain = t.nn.Sequential(t.nn.ReLU())
    return [*answers, _refused(lambda: plain.load_state_dict({"0._extra_state": 1}))]


def buffers(t: Any) -> Any:
    module = t.nn.Module()
    module.register_buffer("kept", t.ones(2))
    module.register_buffer("passing", t.ones(1), persistent=False)
    module.register_buffer("nothing", None)
    module.typed = t.nn.Buffer(t.zeros(1))
    answers = [list(module.state_dict()), [n for n, _ in module.named_buffers()]]
    module.kept = t.zeros(3)
    answers.append([list(module.kept.shape), "kept" in module._buffers])
    answers.append(_refused(lambda: setattr(module, "kept", 3)))
    answers.append(_refused(lambda: module.register_buffer("kept", 3)))
    answers.append(_refused(lambda: module.register_buffer("a.b", t.ones(1))))
    answers.append(_refused(lambda: module.register_buffer("", t.ones(1))))
    answers.append(_refused(lambda: module.register_buffer("forward", t.ones(1))))
    del module.passing
    return [*answers, hasattr(module, "passing"), [n for n, _ in module.named_buffers()]]


def registration(t: Any) -> Any:
    class Early(t.nn.Module):
        def __init__(self) -> None:
            self.weight = t.nn.Parameter(t.ones(1))

    class EarlyModule(t.nn.Module):
        def __init__(self) -> None:
            self.layer = t.nn.ReLU()

    module = t.nn.Module()
    module.weight = t.nn.Parameter(t.ones(1))
    module.register_parameter("none", None)
    p = t.ones(1, requires_grad=True) * 2
    return [
        _refused(Early),
        _refused(EarlyModule),
        _refused(lambda: setattr(module, "weight", t.ones(1))),
        _refused(lambda: module.register_parameter("weight2", t.ones(1))),
        _refused(lambda: module.register_parameter("a.b", None)),
        _refused(lambda: module.register_parameter("train", None)),
        _refused(lambda: module.register_parameter("p", p)),
        _refused(lambda: module.add_module("x", 3)),
        _refused(lambda: module.add_module("a.b", t.nn.ReLU())),
        _refused(lambda: module.nope),
        _refused(lambda: t.nn.Module(3)),
        _refused(lambda: module(3)),
        [n for n, _ in module.named_parameters()],
        setattr(module, "weight", None),
        list(module._parameters),
    ]


def members(t: Any) -> Any:
    net = t.nn.Sequential(_net(t), t.nn.ModuleDict({"a": t.nn.ReLU()}))
    net.shared = net[0].first
    return [
        [n for n, _ in net.named_modules()],
        [n for n, _ in net.named_modules(remove_duplicate=False)],
        [n for n, _ in net.named_children()],
        [n for n, _ in net.named_parameters()],
        [n for n, _ in net.named_parameters(prefix="p", recurse=False)],
        [n for n, _ in net.named_parameters(remove_duplicate=False)],
        [n for n, _ in net.named_buffers(prefix="b")],
        type(net.get_submodule("0.norm")).__name__,
        list(net.get_parameter("0.last.bias").shape),
        net.get_buffer("0.norm.num_batches_tracked").item(),
        _refused(lambda: net.get_submodule("0.nope")),
        _refused(lambda: net.get_parameter("0.norm.running_mean")),
        _refused(lambda: net.get_buffer("0.norm.weight")),
        _refused(lambda: net.get_submodule("0.norm.weight")),
        _refused(lambda: net.set_submodule("", t.nn.ReLU())),
        net.set_submodule("0.norm", t.nn.ReLU()),
        repr(net),
    ]


# ---- changing, copying, printing ---------------------------------------------------------------


def conversions(t: Any) -> Any:
    net = _net(t)
    weight = net.first.weight
    net(_x(t)).sum().backward()
    answers = []
    for act in (
        lambda: net.float(),
        lambda: net.to(t.bfloat16),
        lambda: net.half(),
        lambda: net.to("cpu", t.float64),
        lambda: net.to(t.ones(1)),
        lambda: net.to(dtype=t.float32, non_blocking=True),
        lambda: net.double().type(t.float32),
    ):
        result = act()
        kinds = [str(x.dtype).split(".")[-1] for x in (net.first.weight, net.norm.running_mean)]
        counts = str(net.norm.num_batches_tracked.dtype).split(".")[-1]
        answers.append([result is net, *kinds, counts, net.first.weight is weight])
        answers.append(str(net.first.weight.grad.dtype).split(".")[-1])
    answers.append(_refused(lambda: net.to(t.int64)))
    net.zero_grad(set_to_none=False)
    answers.append(net.first.weight.grad.abs().sum().item())
    net.zero_grad()
    answers.append(net.first.weight.grad)
    answers.append([p.requires_grad for p in net.requires_grad_(False).parameters()])
    answers.append([m.training for m in net.eval().modules()])
    answers.append(_refused(lambda: net.train("yes")))
    seen: list[str] = []
    net.apply(lambda m: seen.append(type(m).__name__))
    return [*answers, seen]


def copies(t: Any) -> Any:
    net = _net(t)
    net.last.weight = net.first.weight  # tied
    net.register_forward_hook(print)
    net.first.bias.requires_grad_(False)
    twin = copy.deepcopy(net)
    answers = [twin.last.weight is twin.first.weight, twin.first.weight is net.first.weight]
    answers.append([len(twin._forward_hooks), [p.requires_grad for p in twin.parameters()]])
    answers.append(t.equal(twin.first.weight, net.first.weight))
    shallow = copy.copy(net)
    answers.append([shallow.first is net.first, shallow is net])
    net._forward_hooks.clear()
    read = pickle.loads(pickle.dumps(net))
    answers.append([repr(read) == repr(net), read.last.weight is read.first.weight])
    return [*answers, _rounded(read.first.bias), sorted(read.state_dict())]


def representations(t: Any) -> Any:
    nn = t.nn

    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(1, 2) for _ in range(3)])
            self.other = nn.Linear(2, 1, bias=False)
            self.p = nn.ParameterList([nn.Parameter(t.ones(2, 1)), nn.Parameter(t.ones(1))])
            self.d = nn.ParameterDict({"a": nn.Parameter(t.ones(3))})

        def extra_repr(self) -> str:
            return "one\ntwo"

    modules = [
        Own(),
        nn.Module(),
        nn.Sequential(),
        nn.ModuleDict({"x": nn.Dropout(0.1), "y": nn.Sequential(nn.ReLU(inplace=True))}),
        nn.TransformerEncoderLayer(4, 2, 8),
        nn.LSTM(2, 3, num_layers=2, bidirectional=True, batch_first=True),
        nn.DataParallel(nn.Linear(1, 1)),
        nn.SyncBatchNorm(3),
        nn.AdaptiveLogSoftmaxWithLoss(8, 10, [2, 5], div_value=2.0),
    ]
    return [repr(m) for m in modules]


def containers(t: Any) -> Any:
    nn = t.nn
    net = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1))
    answers = [len(net), repr(net[1]), repr(net[-1]), repr(net[1:]), [repr(m) for m in net]]
    net[1] = nn.Tanh()
    del net[0]
    net.append(nn.ReLU()).insert(0, nn.Identity())
    net.extend([nn.Sigmoid()])
    answers += [repr(net), repr(net.pop(1)), repr(net + nn.Sequential(nn.ELU())), repr(2 * net[:1])]
    answers += [_refused(lambda: net[9]), _refused(lambda: net.insert(99, nn.ReLU()))]
    items = nn.ModuleList([nn.ReLU()])
    items += [nn.Tanh()]
    items.insert(0, nn.ELU())
    answers += [repr(items), repr(items[:2]), len(items), _refused(lambda: items(1))]
    answers.append(_refused(lambda: items.extend(3)))
    table = nn.ModuleDict([("a", nn.ReLU())])
    table.update({"b": nn.Tanh()})
    answers += [list(table), "a" in table, repr(table.pop("a")), list(table.keys())]
    answers += [_refused(lambda: table["z"]), _refused(lambda: table.update(3))]
    params = nn.ParameterList([t.ones(1), nn.Parameter(t.ones(2))])
    params.append(t.zeros(3))
    answers += [len(params), type(params[0]).__name__, [n for n, _ in params.named_parameters()]]
    named = nn.ParameterDict({"x": t.ones(1)})
    named["y"] = nn.Parameter(t.ones(2))
    answers += [list(named), sorted(named.state_dict()), list(named.copy())]
    return answers


# ---- layers that are rarely met ----------------------------------------------------------------


def adaptive_softmax(t: Any) -> Any:
    t.manual_seed(0)
    layer = t.nn.AdaptiveLogSoftmaxWithLoss(8, 12, [3, 6], div_value=2.0, head_bias=True).double()
    x = t.randn(6, 8).double().requires_grad_()
    target = t.tensor([0, 2, 4, 11, 6, 1])
    out = layer(x, target)
    out.loss.backward()
    answers = [sorted(layer.state_dict()), _rounded(out.output), _rounded(out.loss)]
    answers += [
        _rounded(x.grad),
        _rounded(layer.head.weight.grad),
        _rounded(layer.tail[1][0].weight.grad),
    ]
    answers += [_rounded(layer.log_prob(x)), layer.predict(x).tolist()]
    one = layer(x[0], target[0])
    answers += [_rounded(one.output), list(one.output.shape)]
    answers.append(_refused(lambda: layer(x, target + 5)))
    answers.append(_refused(lambda: layer(x, target[:2])))
    for cutoffs in ([], [3, 3], [5, 2], [0], [12]):
        answers.append(
            _refused(lambda cutoffs=cutoffs: t.nn.AdaptiveLogSoftmaxWithLoss(8, 12, cutoffs))
        )
    return answers


def sync_batch_norm_in_one_process(t: Any) -> Any:
    net = _net(t)
    converted = t.nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(net))
    same = t.allclose(converted(_x(t)), net(_x(t)))
    layer = t.nn.SyncBatchNorm.convert_sync_batchnorm(t.nn.BatchNorm2d(2, affine=False).eval())
    return [repr(converted), same, repr(layer), layer.training, sorted(converted.state_dict())]


def data_parallel_without_devices(t: Any) -> Any:
    net = _net(t)
    wrapped = t.nn.DataParallel(net)
    return [_rounded(wrapped(_x(t))), list(wrapped.state_dict())[:2], wrapped.device_ids]


def attention_by_functions(t: Any) -> Any:
    flex = importlib.import_module(f"{t.__name__}.nn.attention.flex_attention")
    t.manual_seed(0)
    q, k, v = (t.randn(2, 2, 5, 4).double() for _ in range(3))
    bias = t.randn(2, 5, 5).double()

    def causal(b: Any, h: Any, q_idx: Any, kv_idx: Any) -> Any:
        return q_idx >= kv_idx

    def window(b: Any, h: Any, q_idx: Any, kv_idx: Any) -> Any:
        return (q_idx - kv_idx).abs() <= 1

    def biased(score: Any, b: Any, h: Any, q_idx: Any, kv_idx: Any) -> Any:
        return score + bias[h, q_idx, kv_idx] - 0.1 * b

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answers = [_rounded(flex.flex_attention(q, k, v))]
        answers.append(_rounded(flex.flex_attention(q, k, v, score_mod=biased, scale=0.3)))
        for mod in (causal, flex.and_masks(causal, window), flex.or_masks(causal, window)):
            mask = flex.create_block_mask(mod, None, None, 5, 5, device="cpu", BLOCK_SIZE=2)
            out, lse = flex.flex_attention(q, k, v, biased, mask, return_lse=True)
            answers += [_rounded(out), _rounded(lse), mask.to_dense().tolist(), mask.sparsity()]
            answers += [list(mask.shape), mask.kv_num_blocks.tolist(), mask.kv_indices.tolist()]
            answers.append(mask.full_kv_num_blocks.tolist())
        some = flex.create_block_mask(
            lambda b, h, i, j: (i > 1) & (h == 0), None, 2, 5, 5, device="cpu"
        )
        answers.append(_rounded(flex.flex_attention(q, k, v, block_mask=some)))
        grouped = flex.flex_attention(q, k[:, :1], v[:, :1], enable_gqa=True)
        answers.append(_rounded(grouped))
        answers.append(flex.create_mask(causal, 1, 1, 3, 4, device="cpu").tolist())
    return answers


def attention_kernels_and_causal_masks(t: Any) -> Any:
    attention = importlib.import_module(f"{t.__name__}.nn.attention")
    bias = importlib.import_module(f"{t.__name__}.nn.attention.bias")
    q = t.arange(12.0).view(1, 1, 3, 4) / 10
    k = t.arange(20.0).view(1, 1, 5, 4) / 10
    sdpa = t.nn.functional.scaled_dot_product_attention
    with attention.sdpa_kernel([attention.SDPBackend.MATH]):
        answers = [_rounded(sdpa(q, k, k, attn_mask=bias.causal_upper_left(3, 5)))]
    with attention.sdpa_kernel(attention.SDPBackend.MATH):
        answers.append(_rounded(sdpa(q, k, k, attn_mask=bias.causal_lower_right(3, 5))))
    return answers


def gradients_of_convolutions(t: Any) -> Any:
    grad = importlib.import_module(f"{t.__name__}.nn.grad")
    t.manual_seed(0)
    x, w = t.randn(1, 2, 4, 4).double(), t.randn(3, 2, 2, 2).double()
    g = t.randn(1, 3, 3, 3).double()
    return [
        _rounded(grad.conv2d_input(x.shape, w, g)),
        _rounded(grad.conv2d_weight(x, w.shape, g)),
        _rounded(grad.conv1d_weight(x[0], (3, 2, 2), g[:, 0][..., :3].expand(4, 3, 3)[:2])),
    ]


def tools_of_layers(t: Any) -> Any:
    utils = importlib.import_module(f"{t.__name__}.nn.modules.utils")
    state = OrderedDict([("module.a", 1), ("b", 2)])
    state._metadata = OrderedDict([("", {}), ("module", {"v": 1}), ("module.x", {})])
    utils.consume_prefix_in_state_dict_if_present(state, "module.")
    return [
        utils._pair(3),
        utils._pair([1, 2]),
        utils._triple(0),
        utils._reverse_repeat_tuple((1, 2), 2),
        utils._list_with_default([None, 3], [7, 8, 9]),
        sorted(state),
        sorted(state._metadata),
    ]
