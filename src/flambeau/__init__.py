"""flambeau: a deep-learning framework with PyTorch's API, in Python on NumPy.

``import flambeau as torch`` runs a PyTorch program. Every name here is PyTorch's, and
documented in docs/map.md by the room of the house it comes from.
"""

from __future__ import annotations

import importlib as _importlib
import sys as _sys
import warnings as _warnings
from math import e, inf, nan, pi

from . import _config
from . import ops as _records
from ._dtypes import (
    bfloat16,
    can_cast,
    cdouble,
    cfloat,
    complex64,
    complex128,
    double,
    dtype,
    finfo,
    float8_e4m3fn,
    float8_e4m3fnuz,
    float8_e5m2,
    float8_e5m2fnuz,
    float16,
    float32,
    float64,
    get_default_dtype,
    half,
    iinfo,
    int8,
    int16,
    int32,
    int64,
    long,
    promote_types,
    set_default_dtype,
    short,
    uint8,
    uint16,
    uint32,
    uint64,
)
from ._dtypes import bool_ as bool
from ._dtypes import float_ as float
from ._dtypes import int_ as int
from ._settings import *  # noqa: F403
from ._settings import keep_freed_memory as _keep_freed_memory
from ._settings import respect_quota as _respect_quota
from .core import return_types
from .core import threads as _threads
from .core.modes import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from .core.promotion import result_type
from .ops.arithmetic import *  # noqa: F403
from .ops.comparison import *  # noqa: F403
from .ops.elementwise import *  # noqa: F403
from .ops.gathering import *  # noqa: F403
from .ops.indexing import *  # noqa: F403
from .ops.inplace_formulas import *  # noqa: F403
from .ops.joining import *  # noqa: F403
from .ops.memory import (
    channels_last,
    channels_last_3d,
    clone,
    contiguous_format,
    memory_format,
    preserve_format,
)
from .ops.multivariate import *  # noqa: F403
from .ops.pieces import *  # noqa: F403
from .ops.products import *  # noqa: F403
from .ops.rearranging import *  # noqa: F403
from .ops.reductions import *  # noqa: F403
from .ops.views import *  # noqa: F403
from .tensor._creation import *  # noqa: F403
from .tensor._device import Elsewhere as _Elsewhere
from .tensor._device import Size, device, layout, sparse_coo, sparse_csr, strided
from .tensor._printing import get_printoptions, set_printoptions
from .tensor._random import *  # noqa: F403
from .tensor._tensor import (
    BFloat16Tensor,
    BoolTensor,
    ByteTensor,
    CharTensor,
    DoubleTensor,
    FloatTensor,
    HalfTensor,
    IntTensor,
    LongTensor,
    ShortTensor,
    Tensor,
)
from .version import __version__

# Dividing by zero and the like are values here, as in PyTorch, not warnings. The user's own
# NumPy code keeps its warnings: only those raised from flambeau's lines are silenced.
_warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"flambeau\.")
_keep_freed_memory()
_respect_quota()


def _first_kernel(*call: object) -> object:
    """Asked for the first kernel: load the compiler, and let it answer, now and ever after."""
    if not _config.compiled_kernels:
        return None
    _threads.kernels = _importlib.import_module(f"{__package__}.compiler.eager").entry()
    return _threads.kernels and _threads.kernels(*call)


def _first_routine(name: str) -> object:
    """The same for whole routines."""
    if not _config.compiled_kernels:
        return None
    _threads.routine = _importlib.import_module(f"{__package__}.compiler.routines").entry()
    return _threads.routine(name)


_threads.kernels, _threads.routine = _first_kernel, _first_routine


def _elsewhere(place: device) -> object:
    """Asked for tensors on ``place``: load what makes them."""
    name = {"meta": "func._meta", "cuda": "_devices"}[place.type]
    return _importlib.import_module(f"{__package__}.{name}")


def _has_cuda() -> bool:
    """Whether there is a CUDA device."""
    return _importlib.import_module(f"{__package__}._devices.backend").available()


_Elsewhere.on, _Elsewhere.has_cuda = staticmethod(_elsewhere), staticmethod(_has_cuda)


def _operators(name: str) -> object:
    """``torch.ops.name``, which are PyTorch's operators by name, not the records of ``ops``."""
    if name.startswith("__"):  # what Python asks of a module, which loads nothing
        raise AttributeError(name)
    return _importlib.import_module(f"{__package__}._ops").namespace(name, torch)


_records.__getattr__ = _operators


def _uncaught(kind: type, error: BaseException, trace: object) -> None:
    """An exception that ends the program is printed up to the user's own line."""
    _importlib.import_module(f"{__package__}.cli").shorten(error)
    _sys.__excepthook__(kind, error, error.__traceback__)


if _sys.excepthook is _sys.__excepthook__ and _config.traceback == "short":
    _sys.excepthook = _uncaught

newaxis = None
legacy_contiguous_format = contiguous_format
torch = _sys.modules[__package__]  # as PyTorch has itself among its names


def is_tensor(obj: object) -> bool:
    """Whether ``obj`` is a tensor."""
    return isinstance(obj, Tensor)


def is_storage(obj: object) -> bool:
    """Whether ``obj`` is a tensor's storage."""
    return hasattr(obj, "data_ptr") and hasattr(obj, "nbytes") and not is_tensor(obj)


def is_floating_point(input: Tensor) -> bool:
    """Whether the dtype of ``input`` is a floating one."""
    return input.is_floating_point()


def is_complex(input: Tensor) -> bool:
    """Whether the dtype of ``input`` is complex."""
    return input.is_complex()


def is_conj(input: Tensor) -> bool:
    """Whether conjugation is still to be done: never, it is done at once."""
    return False


def numel(input: Tensor) -> int:
    """The number of elements of ``input``."""
    return input.numel()


# Public packages that are loaded when somebody first asks for them, so that the import stays short.
_ON_DEMAND = (
    "_C",
    "__config__",
    "__future__",
    "_dynamo",
    "_higher_order_ops",
    "_inductor",
    "_ops",
    "_tensor",
    "_tensor_str",
    "_utils",
    "accelerator",
    "amp",
    "ao",
    "autograd",
    "backends",
    "compiler",
    "cpu",
    "cuda",
    "distributed",
    "distributions",
    "export",
    "fft",
    "func",
    "functional",
    "futures",
    "hub",
    "fx",
    "jit",
    "library",
    "linalg",
    "masked",
    "mps",
    "multiprocessing",
    "nested",
    "nn",
    "onnx",
    "optim",
    "overrides",
    "profiler",
    "quantization",
    "random",
    "serialization",
    "signal",
    "sparse",
    "special",
    "storage",
    "testing",
    "torch_version",
    "types",
    "utils",
    "viz",
    "watching",
    "xpu",
)

# Functions likewise, by the module that has them: those of layers, which few scripts call by
# these names.
_FUNCTIONS_ON_DEMAND = {
    name: module
    for module, names in {
        "_C": "DispatchKey DispatchKeySet",
        "_about": """
            has_lapack has_openmp has_mkl has_spectral set_warn_always
            is_warn_always_enabled set_deterministic_debug_mode
            get_deterministic_debug_mode set_anomaly_enabled init_num_threads
            is_vulkan_available compiled_with_cxx11_abi get_file_path get_device_module
            from_file to_dlpack
        """,
        "_absent": """
            complex32 qint8 qint32 quint8 quint4x2 quint2x4 bits8 bits16 bits1x8 bits2x4
            bits4x2 bit float4_e2m1fn_x2 float8_e8m0fnu int1 int2 int3 int4 int5 int6
            int7 uint1 uint2 uint3 uint4 uint5 uint6 uint7 chalf qscheme
            per_tensor_affine per_tensor_symmetric per_channel_affine
            per_channel_symmetric per_channel_affine_float_qparams eig lstsq matrix_rank
            solve symeig choose_qparams_optimized dequantize empty_quantized
            fake_quantize_per_channel_affine fake_quantize_per_tensor_affine
            fused_moving_avg_obs_fake_quant int_repr q_per_channel_axis
            q_per_channel_scales q_per_channel_zero_points q_scale q_zero_point
            quantize_per_channel quantize_per_tensor quantize_per_tensor_dynamic
            quantized_batch_norm quantized_gru quantized_gru_cell quantized_lstm
            quantized_lstm_cell quantized_max_pool1d quantized_max_pool2d
            quantized_max_pool3d quantized_rnn_relu_cell quantized_rnn_tanh_cell
            _scaled_mm _make_per_tensor_quantized_tensor dsmm hsmm hspmm
            resize_as_sparse_ saddmm smm spmm sspaddmm import_ir_module
            import_ir_module_from_buffer parse_ir parse_schema parse_type_comment
            merge_type_from_type_comment unify_type_list lobpcg hash_tensor while_loop
            AliasDb AnyType Argument ArgumentSpec AwaitType Block BoolType CallStack
            Capsule ClassType Code CompilationUnit CompleteArgumentSpec ComplexType
            ConcreteModuleType ConcreteModuleTypeBuilder DeepCopyMemoTable
            DeserializationStorageContext DeviceObjType DictType EnumType ErrorReport
            ExecutionPlan FileCheck FloatType FunctionSchema FutureType Gradient Graph
            GraphExecutorState IODescriptor InferredType IntType InterfaceType
            JITException ListType LiteScriptModule LockingLogger LoggerBase Node
            NoneType NoopLogger NumberType OperatorInfo OptionalType PyObjectType
            PyTorchFileReader PyTorchFileWriter RRefType ScriptClass ScriptClassFunction
            ScriptDict ScriptList ScriptMethod ScriptModuleSerializer ScriptObject
            ScriptObjectProperty SerializationStorageContext StaticModule StreamObjType
            StringType SymBoolType SymIntType TensorType TracingState TupleType Type
            UnionType Use BufferDict ModuleDict ParameterDict SymBool SymFloat SymInt
            Event Stream ExcludeDispatchKeyGuard DisableTorchFunction
            DisableTorchFunctionSubclass Tag ThroughputBenchmark
            BenchmarkConfig BenchmarkExecutionStats AggregationType QInt8Storage
            QInt32Storage QUInt8Storage QUInt2x4Storage QUInt4x2Storage
        """,
        "_machinery": """
            _custom_op _custom_ops _decomp _disable_dynamo _dispatch _export _functorch _guards
            _lazy _library _logging _numpy _prims_common _subclasses classes
            monitor mtia package
        """,
        "_errors": "OutOfMemoryError",
        "compiler": "compile",
        "amp.autocast_mode": """
            autocast autocast_decrement_nesting autocast_increment_nesting clear_autocast_cache
            get_autocast_cpu_dtype get_autocast_dtype get_autocast_gpu_dtype
            is_autocast_cache_enabled is_autocast_cpu_enabled is_autocast_enabled
            set_autocast_cache_enabled set_autocast_cpu_dtype set_autocast_cpu_enabled
            set_autocast_dtype set_autocast_enabled set_autocast_gpu_dtype
        """,
        "func._vmap": "vmap",
        "functions.asking": """
            addmv_ cond detach_ get_device is_distributed is_inference is_neg is_signed
            nonzero_static resize_as_ resolve_conj resolve_neg sym_float sym_int sym_ite sym_max
            sym_min sym_not sym_sqrt sym_sum
        """,
        "functions.checks": """
            _assert _check _check_index _check_is_size _check_not_implemented _check_type
            _check_value typename
        """,
        "functions.deprecated": "detach range",
        "functions.differences": "cumulative_trapezoid diff gradient trapezoid trapz",
        "functions.distances": "cdist cosine_similarity norm_except_dim pairwise_distance pdist",
        "functions.dropout": "alpha_dropout dropout feature_alpha_dropout",
        "functions.einsum": "einsum",
        "functions.foreach": """
            _foreach_abs _foreach_abs_ _foreach_acos _foreach_acos_ _foreach_add _foreach_add_
            _foreach_addcdiv _foreach_addcdiv_ _foreach_addcmul _foreach_addcmul_ _foreach_asin
            _foreach_asin_ _foreach_atan _foreach_atan_ _foreach_ceil _foreach_ceil_
            _foreach_clamp_max _foreach_clamp_max_ _foreach_clamp_min _foreach_clamp_min_
            _foreach_clone _foreach_copy_ _foreach_cos _foreach_cos_ _foreach_cosh _foreach_cosh_
            _foreach_div _foreach_div_ _foreach_erf _foreach_erf_ _foreach_erfc _foreach_erfc_
            _foreach_exp _foreach_exp_ _foreach_expm1 _foreach_expm1_ _foreach_floor
            _foreach_floor_ _foreach_frac _foreach_frac_ _foreach_lerp _foreach_lerp_
            _foreach_lgamma _foreach_lgamma_ _foreach_log _foreach_log10 _foreach_log10_
            _foreach_log1p _foreach_log1p_ _foreach_log2 _foreach_log2_ _foreach_log_ _foreach_max
            _foreach_maximum _foreach_maximum_ _foreach_minimum _foreach_minimum_ _foreach_mul
            _foreach_mul_ _foreach_neg _foreach_neg_ _foreach_norm _foreach_pow _foreach_pow_
            _foreach_reciprocal _foreach_reciprocal_ _foreach_round _foreach_round_ _foreach_rsqrt
            _foreach_rsqrt_ _foreach_sigmoid _foreach_sigmoid_ _foreach_sign _foreach_sign_
            _foreach_sin _foreach_sin_ _foreach_sinh _foreach_sinh_ _foreach_sqrt _foreach_sqrt_
            _foreach_sub _foreach_sub_ _foreach_tan _foreach_tan_ _foreach_tanh _foreach_tanh_
            _foreach_trunc _foreach_trunc_ _foreach_zero_
        """,
        "functions.linear_algebra": "lu matrix_power pca_lowrank pinverse svd_lowrank",
        "functions.pointwise": """
            abs_ acos_ acosh_ arccos_ arccosh_ arcsin_ arcsinh_ arctan_ arctanh_ asin_
            asinh_ atan_ atanh_ ceil_ clamp_ clamp_max_ clamp_min_ clip_
            conj_physical_ cos_ cosh_ deg2rad_ erf_ erfc_ exp2_ exp_ expm1_ fill_ fix_
            floor_ frac_ gcd_ i0_ lcm_ ldexp_ log10_ log1p_
            log2_ log_ logit_ nan_to_num_ neg_ negative_ rad2deg_ reciprocal_ round_
            rsqrt_ sigmoid_ sin_ sinc_ sinh_ sqrt_ square_ tan_ tanh_ trunc_ xlogy_
            zero_
        """,
        "functions.products": "bilinear chain_matmul cross ger inner kron outer tensordot vander",
        "functions.shape": """
            atleast_1d atleast_2d atleast_3d block_diag broadcast_shapes broadcast_tensors
            cartesian_prod channel_shuffle column_stack combinations dstack hstack is_nonzero
            is_same_size meshgrid pixel_shuffle pixel_unshuffle row_stack tril_indices
            triu_indices vstack
        """,
        "functions.short_time": "istft stft",
        "functions.statistics": "corrcoef cov nanquantile quantile renorm",
        "functions.windows": """
            bartlett_window blackman_window hamming_window hann_window kaiser_window
        """,
        "functions.view_copies": """
            alias_copy as_strided_copy detach_copy diagonal_copy expand_copy narrow_copy
            permute_copy select_copy slice_copy split_copy split_with_sizes_copy squeeze_copy t_copy
            transpose_copy unbind_copy unfold_copy unsqueeze_copy view_as_complex_copy
            view_as_real_copy view_copy
        """,
        "nn._root_forms": """
            embedding embedding_bag batch_norm instance_norm native_batch_norm
            native_layer_norm native_group_norm dropout_ alpha_dropout_
            feature_alpha_dropout_ feature_dropout feature_dropout_ native_dropout
            adaptive_max_pool1d native_channel_shuffle binary_cross_entropy_with_logits
            cosine_embedding_loss ctc_loss hinge_embedding_loss kl_div
            margin_ranking_loss poisson_nll_loss triplet_margin_loss frobenius_norm
            nuclear_norm lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell
            rnn_relu_cell segment_reduce
        """,
        "ops.activations": """
            celu celu_ hardshrink prelu relu relu_ rrelu rrelu_ selu selu_ threshold threshold_
        """,
        "ops.addmm": "addbmm addmm addmv addr baddbmm",
        "ops.channel_norm": "group_norm",
        "ops.complexes": "angle complex conj conj_physical polar",
        "ops.convolution": """
            conv1d conv2d conv3d conv_tbc conv_transpose1d conv_transpose2d conv_transpose3d
            convolution
        """,
        "ops.factorisations": "cholesky geqrf lu_unpack orgqr ormqr qr",
        "ops.moments": "std std_mean var var_mean",
        "ops.normalisation": "layer_norm rms_norm",
        "ops.norms": "dist norm",
        "ops.order_statistics": "kthvalue median mode nanmedian",
        "ops.padding": "constant_pad_nd",
        "ops.pooling": """
            adaptive_avg_pool1d avg_pool1d max_pool1d max_pool1d_with_indices max_pool2d
            max_pool3d
        """,
        "ops.resampling": "affine_grid_generator grid_sampler grid_sampler_2d grid_sampler_3d",
        "ops.scans": "cummax cummin cumprod cumsum logcumsumexp",
        "ops.scattering": """
            diagonal_scatter index_add index_copy index_fill index_reduce masked_scatter put
            scatter scatter_add scatter_reduce select_scatter slice_scatter
        """,
        "ops.searching": """
            bincount bucketize histc histogram histogramdd isin searchsorted unique
            unique_consecutive
        """,
        "ops.softmax": "log_softmax softmax",
        "ops.solving": """
            cholesky_inverse cholesky_solve det inverse logdet lu_solve matrix_exp slogdet
            triangular_solve
        """,
        "ops.sorting": "argsort msort sort topk",
        "ops.special_functions": """
            digamma erf erfc erfinv i0 igamma igammac lgamma mvlgamma polygamma sinc xlogy
        """,
        "ops.spectra": "svd",
        "futures": "Future",
        "autograd._anomaly": "is_anomaly_check_nan_enabled is_anomaly_enabled",
        "amp.grad_scaler": "GradScaler",
        "jit": "ScriptFunction ScriptModule fork wait",
        "profiler._recorder": "profile",
        "serialization._load": "load",
        "serialization._save": "save",
        "sparse": """
            sparse_bsc_tensor sparse_bsr_tensor sparse_compressed_tensor sparse_coo_tensor
            sparse_csc_tensor sparse_csr_tensor
        """,
        "storage": "TypedStorage UntypedStorage",
        "tensor._device": "jagged sparse_bsc sparse_bsr sparse_csc",
        "tensor._defaults": """
            get_default_device set_default_device set_default_tensor_type
        """,
        "tensor._sampling": """
            _dirichlet_grad _sample_dirichlet _standard_gamma _standard_gamma_grad binomial
            multinomial poisson
        """,
        "tensor._storage": """
            BFloat16Storage BoolStorage ByteStorage CharStorage ComplexDoubleStorage
            ComplexFloatStorage DoubleStorage FloatStorage
            HalfStorage IntStorage LongStorage ShortStorage
        """,
        "viz": "graph summary",
        "watching": "CheckWarning check nan_guard",
    }.items()
    for name in names.split()
}


def __getattr__(name: str) -> object:
    if name in _ON_DEMAND:
        return _importlib.import_module(f"{__package__}.{name}")
    if name in _FUNCTIONS_ON_DEMAND:
        module = _importlib.import_module(f"{__package__}.{_FUNCTIONS_ON_DEMAND[name]}")
        globals()[name] = value = getattr(module, name)
        return value
    names = (*globals(), *_ON_DEMAND, *_FUNCTIONS_ON_DEMAND)
    raise _importlib.import_module(f"{__package__}._missing").missing(__package__, name, names)


def __dir__() -> list[str]:
    public = {n for n in globals() if not n.startswith("_")}
    public |= {n for n in _ON_DEMAND if not n.startswith("_")}
    return sorted(public | set(_FUNCTIONS_ON_DEMAND))


if _config.check:
    _importlib.import_module(f"{__package__}.watching._check").check_whole_program()
