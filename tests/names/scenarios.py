"""Names that PyTorch keeps beside the usual ones: forms of the root, storages, old methods."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any


def _tried(f: Callable, *args: Any) -> Any:
    try:
        return f(*args)
    except Exception as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0]}"


def _x(t: ModuleType) -> Any:
    return (t.arange(24.0).reshape(2, 3, 4) * 0.7).sin()


def embeddings(t: ModuleType) -> list:
    w, i, o = t.arange(12.0).reshape(4, 3), t.tensor([0, 2, 1]), t.tensor([0, 2])
    told = [t.embedding(w, i), t.embedding(w, i, 2)]
    told += [t.embedding_bag(w, i, o, False, mode) for mode in (0, 1, 2)]
    told.append(t.embedding_bag(w, i, o, False, 2, False, None, False, 2))
    told.append(t.embedding_bag(w, i, t.tensor([0, 2, 3]), False, 1, False, None, True))
    w.requires_grad_()
    t.embedding(w, i, 2).sum().backward()
    return [*told, w.grad]


def normalisation(t: ModuleType) -> list:
    x, m, v = _x(t), t.zeros(3), t.ones(3)
    return [
        t.batch_norm(x, None, None, m, v, False, 0.1, 1e-5, False),
        t.batch_norm(x, v * 2, m + 1, m, v, True, 0.1, 1e-5, False), m, v,
        t.instance_norm(x, None, None, None, None, True, 0.1, 1e-5, False),
        t.native_batch_norm(x, None, None, m, v, True, 0.1, 1e-5),
        t.native_layer_norm(x, [4], None, None, 1e-5),
        t.native_group_norm(x, None, None, 2, 3, 4, 1, 1e-5),
        t.layer_norm(x, (3, 4)), t.rms_norm(x, (4,)),
    ]  # fmt: skip


def losses(t: ModuleType) -> list:
    x, y = _x(t)[0], _x(t)[1].abs()
    sign = t.tensor([1.0, -1.0, 1.0])
    told = []
    for r in (0, 1, 2):
        told += [
            t.kl_div(x, y, r), t.kl_div(x, y, r, log_target=True),
            t.binary_cross_entropy_with_logits(x, y, None, None, r),
            t.cosine_embedding_loss(x, y, sign, 0.1, r),
            t.hinge_embedding_loss(x, t.ones(3, 4), 1.0, r),
            t.margin_ranking_loss(x[0], y[0], t.ones(4), 0.5, r),
            t.poisson_nll_loss(x, y, True, False, 1e-8, r),
            t.triplet_margin_loss(x, y, x + 1, 1.0, 2, 1e-6, False, r),
            t.ctc_loss(
                _x(t).log_softmax(2), t.tensor([[1], [2], [3]]), (2, 2, 2), (1, 1, 1), 0, r
            ),
        ]  # fmt: skip
    return told


def recurrent(t: ModuleType) -> list:
    told = []
    x = _x(t)
    for name, kind, more in (
        ("lstm", t.nn.LSTM, {}), ("gru", t.nn.GRU, {}), ("rnn_tanh", t.nn.RNN, {}),
        ("rnn_relu", t.nn.RNN, {"nonlinearity": "relu"}),
    ):  # fmt: skip
        t.manual_seed(1)
        layer = kind(4, 3, 2, bidirectional=True, **more)
        weights = [w for ws in layer.all_weights for w in ws]
        h = t.zeros(4, 3, 3)
        states = (h, h) if name == "lstm" else h
        run = getattr(t, name)
        told.append(run(x, states, weights, True, 2, 0.0, False, True, False))
        cell = getattr(t, f"{name}_cell")
        first = (h[0], h[0]) if name == "lstm" else h[0]
        told.append(cell(x[0], first, *weights[:4]))
    return told


def dropout(t: ModuleType) -> list:
    x = t.ones(2, 3, 4)
    t.manual_seed(3)
    told = [t.feature_dropout(x, 0.5, True), t.dropout_(x.clone(), 0.5, True)]
    told += [t.alpha_dropout_(x.clone(), 0.5, True), t.feature_dropout_(x.clone(), 0.5, True)]
    result, mask = t.native_dropout(x, 0.5, True)
    told += [bool((result == mask * 2.0).all()), str(mask.dtype), t.native_dropout(x, 0.5, False)]
    return told


def norms_and_segments(t: ModuleType) -> list:
    w = t.arange(12.0).reshape(4, 3)
    n = t.tensor([1, 0, 3])
    told = [
        t.frobenius_norm(w, [1], True), t.frobenius_norm(w, 0), t.nuclear_norm(w),
        t.nuclear_norm(w, (0, 1), True), t.adaptive_max_pool1d(_x(t), 2),
        t.native_channel_shuffle(_x(t), 3),
    ]  # fmt: skip
    for r in ("sum", "mean", "max", "min", "prod"):
        told.append(t.segment_reduce(w, r, lengths=n))
        told.append(t.segment_reduce(w, r, lengths=n, initial=1.0))
    told.append(t.segment_reduce(w, "sum", offsets=t.tensor([0, 2, 4])))
    told.append(_tried(lambda: t.segment_reduce(w, "sum")))
    return told


def storages(t: ModuleType) -> list:
    s = t.FloatStorage([1, 2, 3.5])
    u = s.untyped()
    told = [
        s.float().tolist(), s.int().tolist(), s.double().tolist(), s.bool().tolist(),
        s.element_size(), u.element_size(), s.type(), u.type(), s.is_shared(), s.is_pinned(),
        s.fill_(2).tolist(), s.copy_(t.FloatStorage([4, 5, 6])).tolist(), s.resizable(),
        s.clone().tolist(), u.tolist(), s.pickle_storage_type(), len(u.new()), u.is_cuda,
        t.UntypedStorage.from_buffer(b"abcd", byte_order="native", dtype=t.uint8).tolist(),
        s.complex_float().tolist()[0].real, s.is_sparse,
    ]  # fmt: skip
    s.resize_(5)
    told += [len(s), s.tolist()[:3], s.share_memory_().is_shared()]
    return told


def methods(t: ModuleType) -> list:
    w = t.arange(12.0).reshape(4, 3)
    told = [
        w.dim_order(), w.t().dim_order(), w.sparse_dim(), w.dense_dim(), w.is_distributed(),
        w.dequantize(), w.nonzero_static(size=2), w.resize(12), w.resize_as(t.ones(12)),
        t.zeros(4, 3).module_load(w), w[1:3].slice_inverse(w, 0, 1, 3),
    ]  # fmt: skip
    names = (
        "is_coalesced indices coalesce values crow_indices col_indices ccol_indices row_indices "
        "reinforce"
    )
    args = {"reinforce": (1,)}
    told += [_tried(getattr(w, n), *args.get(n, ())) for n in names.split()]
    return told


def dtypes_and_layouts(t: ModuleType) -> list:
    names = "qint8 quint8 qint32 complex32 chalf float8_e8m0fnu uint4 bits8"
    told = [repr(getattr(t, n)) for n in names.split()]
    told += [repr(t.sparse_csc), repr(t.jagged), repr(t.per_tensor_affine)]
    told += [d.abbr for d in (t.float32, t.bfloat16, t.int64, t.uint8, t.bool, t.complex64)]
    told += [t.qint8 == t.qint8, t.qint8 == t.int8, {t.qint8: 1}[t.qint8], t.chalf is t.complex32]
    return told


def settings(t: ModuleType) -> list:
    told = [t.is_warn_always_enabled(), t.get_deterministic_debug_mode()]
    for mode in ("warn", 2, 0):
        t.set_deterministic_debug_mode(mode)
        told.append(t.get_deterministic_debug_mode())
    told.append(_tried(t.set_deterministic_debug_mode, "x"))
    t.set_warn_always(True)
    told.append(t.is_warn_always_enabled())
    t.set_warn_always(False)
    told += [t.is_warn_always_enabled(), t.is_anomaly_enabled(), t.is_anomaly_check_nan_enabled()]
    told += [t.has_lapack, t.is_vulkan_available(), t.get_device_module("cpu") is t.cpu]
    told += [_tried(f, t.eye(2)) for f in (t.symeig, t.eig, t.matrix_rank)]
    return [str(v).split(". ")[0].rstrip(".") if isinstance(v, str) else v for v in told]


def flops(t: ModuleType) -> list:
    mode = importlib.import_module(t.__name__ + ".utils.flop_counter").FlopCounterMode
    nn = t.nn

    def counted(f: Callable) -> list:
        with mode(display=False) as counter:
            f()
        found = counter.get_flop_counts()
        counts = {k: {str(op): n for op, n in v.items()} for k, v in sorted(found.items())}
        return [counter.get_total_flops(), counts]

    dense = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Sequential(nn.Linear(4, 5, bias=False)))
    images = nn.Sequential(nn.Conv2d(4, 6, 3, padding=1, stride=2), nn.ConvTranspose2d(6, 2, 2))
    x = t.ones(2, 4, 8, 9, requires_grad=True)
    return [
        counted(f)
        for f in (
            lambda: dense(t.ones(2, 3)),
            lambda: dense(t.ones(2, 3)).sum().backward(),
            lambda: dense(t.ones(2, 6, 3)).sum().backward(),
            lambda: images(x).sum().backward(),
            lambda: images(x.detach()).sum().backward(),
            lambda: t.ones(2, 3) @ t.ones(3, 5),
            lambda: t.ones(7, 2, 3) @ t.ones(7, 3, 5),
            lambda: t.ones(7, 2, 3) @ t.ones(3, 5),
            lambda: t.addmm(t.ones(5), t.ones(2, 3), t.ones(3, 5)),
            lambda: t.baddbmm(t.ones(5), t.ones(4, 2, 3), t.ones(4, 3, 5)),
            lambda: t.einsum("bij,bjk->bik", t.ones(2, 3, 4), t.ones(2, 4, 5)),
        )
    ]


def trees(t: ModuleType) -> list:
    p = importlib.import_module(t.__name__ + ".utils._pytree")
    value = {"a": [1, (2, 3)], "b": t.zeros(2).max(0)}
    leaves, _ = p.tree_flatten({"a": [1, (2, 3)]})
    paths, _ = p.tree_flatten_with_path({"a": [1, (2, 3)]})
    return [
        leaves, [p.key_get({"a": [1, (2, 3)]}, path) for path, _ in paths], p.tree_is_leaf(3),
        p.tree_is_leaf([3]), p.arg_tree_leaves(1, [2], k={"x": 3}), list in p.SUPPORTED_NODES,
        p._get_node_type([1]) is list, p.is_structseq(value["b"]), p.is_structseq((1,)),
        p.is_structseq_class(tuple),
    ]  # fmt: skip


def swapped(t: ModuleType) -> list:
    a, b = t.nn.Parameter(t.ones(2)), t.zeros(3)
    b.note = "b"
    t.utils.swap_tensors(a, b)
    (b * 3).sum().backward()
    kinds = [isinstance(a, t.nn.Parameter), isinstance(b, t.nn.Parameter)]
    return [a, b, *kinds, a.note, a.requires_grad, b.requires_grad, b.grad]


def choices(t: ModuleType) -> list:
    fsdp = importlib.import_module(t.__name__ + ".distributed.fsdp")
    full = importlib.import_module(t.__name__ + ".distributed.fsdp.fully_sharded_data_parallel")
    told = [str(m) for e in (fsdp.ShardingStrategy, fsdp.BackwardPrefetch) for m in e]
    told += [str(fsdp.StateDictType.FULL_STATE_DICT), full.StateDictType is fsdp.StateDictType]
    return told + [int(t.onnx.TensorProtoDataType.INT64), str(t.onnx.TrainingMode.EVAL)]


def without_a_gpu(t: ModuleType) -> list:
    cuda = t.cuda
    memory = importlib.import_module(t.__name__ + ".cuda.memory")
    random = importlib.import_module(t.__name__ + ".cuda.random")
    importlib.import_module(t.__name__ + ".cuda.graphs")
    return [
        memory.memory_allocated(), cuda.max_memory_allocated(), cuda.manual_seed_all(1),
        random.manual_seed(1), random.get_rng_state_all(), cuda.empty_cache(), cuda.is_available(),
        _tried(cuda.can_device_access_peer, 0, 1), cuda.has_half in (True, False),
        t.mtia.is_available(), t.accelerator.device_index(None).__enter__(),
        t.profiler.kineto_available() in (True, False),
    ]  # fmt: skip


def libraries(t: ModuleType) -> list:
    b, f = t.backends, t.nn.functional
    with b.cuda.sdp_kernel(enable_flash=False):
        pass
    return [
        b.cpu.get_cpu_capability() in ("DEFAULT", "AVX2", "AVX512"),
        b.opt_einsum.is_available() in (True, False),
        f.has_torch_function((t.ones(1),)), f.GRID_SAMPLE_PADDING_MODES, f.Tensor is t.Tensor,
        f.assert_int_or_pair(3, "kernel", "{} is odd"), f.assert_int_or_pair((1, 2), "k", "{}"),
        _tried(f.assert_int_or_pair, (1, 2, 3), "kernel", "{} is odd"),
        t.autograd.grad_mode.no_grad is t.no_grad, b.nnpack.is_available() in (True, False),
    ]  # fmt: skip
