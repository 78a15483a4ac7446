"""``torch._inductor.config``: settings of PyTorch's compiler. To be set; they change nothing."""

from __future__ import annotations

coordinate_descent_tuning = False
epilogue_fusion = True
force_disable_caches = False
freezing = False
fx_graph_cache = True
max_autotune = False
max_autotune_gemm_backends = "ATEN,TRITON,CPP"
shape_padding = True
