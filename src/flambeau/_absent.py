"""Names of ``torch`` for what flambeau has not: kinds of elements, quantization, TorchScript's
types, functions that PyTorch itself has removed.

They can be imported, compared and asked about; using one raises an error that names it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from ._dtypes import FLOATING, INTEGRAL, Constant, dtype
from ._missing import missing
from ._refusals import refused

# ---- kinds of elements ---------------------------------------------------------------------------


class _AbsentDtype(dtype):
    """A dtype that no tensor has: it is equal to itself alone."""

    __slots__ = ()

    def __init__(self, name: str) -> None:
        self.name = self.legacy_name = name
        self.category = FLOATING if "float" in name else INTEGRAL
        self.is_floating_point, self.is_complex = "float" in name, name.startswith("complex")
        self.is_signed = not name.startswith(("uint", "quint", "bits"))

    @property
    def numpy(self) -> NoReturn:
        """Refused: TypeError."""
        raise TypeError(
            f"flambeau has no tensors of dtype torch.{self.name}\n"
            "  take one of those that NumPy or ml_dtypes can compute with, such as torch.float16, "
            "torch.complex64 or torch.int8"
        )

    @property
    def itemsize(self) -> NoReturn:
        """Refused: TypeError."""
        return self.numpy


_DTYPES = """
    complex32 qint8 qint32 quint8 quint4x2 quint2x4 bits8 bits16 bits1x8 bits2x4 bits4x2 bit
    float4_e2m1fn_x2 float8_e8m0fnu int1 int2 int3 int4 int5 int6 int7 uint1 uint2 uint3 uint4
    uint5 uint6 uint7
"""
for _name in _DTYPES.split():
    globals()[_name] = _AbsentDtype(_name)
chalf = globals()["complex32"]


class qscheme(Constant):
    """How a quantized tensor's steps are laid out: none here has any."""

    __slots__ = ()


_SCHEMES = """
    per_tensor_affine per_tensor_symmetric per_channel_affine per_channel_symmetric
    per_channel_affine_float_qparams
"""
for _name in _SCHEMES.split():
    globals()[_name] = qscheme(_name)

# ---- functions -----------------------------------------------------------------------------------


def _removed(name: str, instead: str) -> Callable[..., NoReturn]:
    def function(*args: Any, **kwargs: Any) -> NoReturn:
        raise RuntimeError(
            "This function was deprecated since version 1.9 and is now removed.\n"
            f"  torch.{name} is no more in PyTorch either: use {instead}"
        )

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Removed from PyTorch: use {instead}. RuntimeError."
    return function


eig = _removed("eig", "torch.linalg.eig or eigvals, whose results are complex")
lstsq = _removed("lstsq", "torch.linalg.lstsq(A, B), which takes A first")
matrix_rank = _removed("matrix_rank", "torch.linalg.matrix_rank, with hermitian= for symmetric=")
solve = _removed("solve", "torch.linalg.solve(A, B), which takes A first")
symeig = _removed("symeig", "torch.linalg.eigh or eigvalsh, with UPLO= for upper=")


def _refusing(name: str, advice: str) -> Callable[..., NoReturn]:
    def function(*args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError(f"torch.{name} is not supported by flambeau\n  {advice}")

    function.__name__ = function.__qualname__ = name
    function.__doc__ = "Refused: NotImplementedError."
    return function


_REFUSED_FUNCTIONS = {
    "tensors are not quantized here": """
        choose_qparams_optimized dequantize empty_quantized fake_quantize_per_channel_affine
        fake_quantize_per_tensor_affine fused_moving_avg_obs_fake_quant int_repr
        q_per_channel_axis q_per_channel_scales q_per_channel_zero_points q_scale q_zero_point
        quantize_per_channel quantize_per_tensor quantize_per_tensor_dynamic quantized_batch_norm
        quantized_gru quantized_gru_cell quantized_lstm quantized_lstm_cell quantized_max_pool1d
        quantized_max_pool2d quantized_max_pool3d quantized_rnn_relu_cell quantized_rnn_tanh_cell
        _scaled_mm _make_per_tensor_quantized_tensor
    """,
    "tensors are strided: use dense ones": """
        dsmm hsmm hspmm resize_as_sparse_ saddmm smm spmm sspaddmm
    """,
    "write it in tensor operations": "lobpcg hash_tensor while_loop",
    "there is no TorchScript to read": """
        import_ir_module import_ir_module_from_buffer parse_ir parse_schema parse_type_comment
        merge_type_from_type_comment unify_type_list
    """,
}
for _advice, _names in _REFUSED_FUNCTIONS.items():
    for _name in _names.split():
        globals()[_name] = _refusing(_name, _advice)

# ---- classes -------------------------------------------------------------------------------------

_SCRIPT = """
    AliasDb AnyType Argument ArgumentSpec AwaitType Block BoolType CallStack Capsule ClassType Code
    CompilationUnit CompleteArgumentSpec ComplexType ConcreteModuleType ConcreteModuleTypeBuilder
    DeepCopyMemoTable DeserializationStorageContext DeviceObjType DictType EnumType ErrorReport
    ExecutionPlan FileCheck FloatType FunctionSchema FutureType Gradient Graph GraphExecutorState
    IODescriptor InferredType IntType InterfaceType JITException ListType LiteScriptModule
    LockingLogger LoggerBase Node NoneType NoopLogger NumberType OperatorInfo OptionalType
    PyObjectType PyTorchFileReader PyTorchFileWriter RRefType ScriptClass ScriptClassFunction
    ScriptDict ScriptList ScriptMethod ScriptModuleSerializer ScriptObject ScriptObjectProperty
    SerializationStorageContext StaticModule StreamObjType StringType SymBoolType SymIntType
    TensorType TracingState TupleType Type UnionType Use BufferDict ModuleDict ParameterDict
"""
globals().update(
    refused("torch", _SCRIPT, "programs are run as Python: there is no TorchScript")
    | refused("torch", "SymBool SymFloat SymInt", "sizes are Python's own numbers")
    | refused(
        "torch",
        "Event Stream ExcludeDispatchKeyGuard DisableTorchFunction "
        "DisableTorchFunctionSubclass Tag ThroughputBenchmark BenchmarkConfig "
        "BenchmarkExecutionStats AggregationType",
        "operations are run in order, on the CPU, by Python",
    )
    | refused(
        "torch",
        "QInt8Storage QInt32Storage QUInt8Storage QUInt2x4Storage QUInt4x2Storage",
        "tensors are not quantized here",
    )
)


def __getattr__(name: str) -> object:
    raise missing(__name__, name, globals())
