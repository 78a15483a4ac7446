"""``torch._inductor.config``: settings of PyTorch's compiler. To be set; they change nothing."""

from __future__ import annotations

from types import SimpleNamespace

coordinate_descent_tuning = False
epilogue_fusion = True
force_disable_caches = False
freezing = False
fx_graph_cache = True
max_autotune = False
max_autotune_gemm_backends = "ATEN,TRITON,CPP"
shape_padding = True
triton = SimpleNamespace(
    cudagraphs=False, cudagraph_trees=True, unique_kernel_names=True, autotune_pointwise=True
)
cpp = SimpleNamespace(threads=-1, simdlen=None, enable_kernel_profile=False, weight_prepack=True)
debug = False
trace = SimpleNamespace(enabled=False)
compile_threads = 1
