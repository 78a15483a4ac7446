"""``torch._dynamo.config``: settings of PyTorch's tracer. They can be set, and change nothing."""

from __future__ import annotations

verbose = False
suppress_errors = False
cache_size_limit = recompile_limit = 8
accumulated_cache_size_limit = accumulated_recompile_limit = 256
capture_scalar_outputs = False
capture_dynamic_output_shape_ops = False
assume_static_by_default = True
automatic_dynamic_shapes = True
dynamic_shapes = True
guard_nn_modules = True
inline_inbuilt_nn_modules = True
optimize_ddp = True
force_parameter_static_shapes = True
allow_unspec_int_on_nn_module = False
