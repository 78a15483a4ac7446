"""How a GPU draws random numbers: one kernel for each distribution and dtype, written here as text.

Which thread draws which element, from which outputs, is as in PyTorch: blocks of 256 threads, as
many as the elements take or the GPU holds; a thread draws blocks of four outputs of its own
sequence, and the results of one block lie as far apart as there are threads. So the numbers depend
on the GPU, as PyTorch's do, and on the same GPU are PyTorch's.
Source: PyTorch 2.13, ATen/native/cuda/DistributionTemplates.h; the CUDA toolkit's documentation of
curandStatePhilox4_32_10_t, curand_uniform4, curand_normal4 and their double forms.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

THREADS = 256  # of a block


class Recipe(NamedTuple):
    """One distribution. ``source``: what an element is made of: "bits" (an output of 32 bits),
    "wide" (two of them), "uniform" on (0, 1] or "normal", these as float, or double for float64;
    ``body``: the element in CUDA's C, of ``x``, one of these, and the parameters ``a``, ``b``,
    ``c``, which are of the same type as ``x`` (64 bits for "bits")."""

    source: str
    body: str


RECIPES = {
    "every64": Recipe("wide", "(i64)x"),
    "integer": Recipe("bits", "(i64)(x % (u32)a + b)"),
    "integer64": Recipe("wide", "(i64)(x % a + b)"),
    "uniform": Recipe("uniform", "from(to(x * a + b)) == c ? b : x * a + b"),
    "normal": Recipe("normal", "x * a + b"),
    "log_normal": Recipe("normal", "EXP(x * a + b)"),
    "exponential": Recipe("uniform", "a * (x >= 1 - EPSILON / 2 ? -EPSILON / 2 : LOG(x))"),
    "geometric": Recipe("uniform", "ceil(LOG(x) / LOG1P(-a))"),
    "cauchy": Recipe("uniform", "b + a * TAN(PI * (CLIP(x) - (V)0.5))"),
    "bernoulli": Recipe("uniform", "x < a"),
    "dropout": Recipe("uniform", "x < a ? b : 0"),
}


def per_block(recipe: str, dtype: np.dtype) -> int:
    """How many elements come of one block of outputs: 4, or 2 that are 64 bits wide."""
    source = RECIPES[recipe].source
    wide = source == "wide" or (
        source in ("uniform", "normal") and dtype == np.float64 and recipe != "dropout"
    )
    return 2 if wide else 4


def blocks_for(count: int, resident: int) -> int:
    """How many blocks of threads draw ``count`` elements on a GPU that holds ``resident`` of
    them."""
    return min(-(-count // THREADS), resident)


def spent(count: int, blocks: int, each: int) -> int:
    """How many outputs of each thread ``count`` elements take, ``each`` of a block of four."""
    return ((count - 1) // (THREADS * blocks * each) + 1) * 4


#: dtype -> its type in C; those of 16 bits and bool are converted by hand.
_C = {
    "f4": "float", "f8": "double", "b1": "bool", "u1": "unsigned char", "i1": "signed char",
    "u2": "unsigned short", "i2": "short", "u4": "unsigned", "i4": "int",
    "u8": "unsigned long long", "i8": "long long",
}  # fmt: skip

_TEXT = """
typedef unsigned u32;
typedef unsigned long long u64;
typedef long long i64;

__device__ uint4 philox(u64 seed, u64 thread, u64 block) {
    u32 x = (u32)block, y = (u32)(block >> 32), z = (u32)thread, w = (u32)(thread >> 32);
    u32 k = (u32)seed, l = (u32)(seed >> 32);
    #pragma unroll
    for (int round = 0; round < 10; ++round) {
        u32 high = __umulhi(0xD2511F53u, x), low = 0xD2511F53u * x;
        u32 top = __umulhi(0xCD9E8D57u, z), bottom = 0xCD9E8D57u * z;
        x = top ^ y ^ k; y = bottom; z = high ^ w ^ l; w = low;
        k += 0x9E3779B9u; l += 0xBB67AE85u;
    }
    return make_uint4(x, y, z, w);
}

__device__ unsigned short half_bits(float x) {
    unsigned short bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
    return bits;
}
__device__ float half_value(unsigned short bits) {
    float x;
    asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
    return x;
}
__device__ unsigned short bfloat_bits(float x) {
    u32 bits = __float_as_uint(x);
    return (unsigned short)((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}
__device__ float bfloat_value(unsigned short bits) { return __uint_as_float((u32)bits << 16); }

__device__ double unit64(u32 x, u32 y) {
    u64 bits = (u64)x ^ ((u64)y << 21);
    return bits * 1.1102230246251565e-16 + 1.1102230246251565e-16 / 2.0;
}
__device__ float unit32(u32 x) { return x * 2.3283064e-10f + 2.3283064e-10f / 2.0f; }

SOURCE

extern "C" __global__ __launch_bounds__(256) void draw(
    OUT* out, i64 count, u64 seed, u64 first, P a, P b, P c
) {
    i64 thread = (i64)blockIdx.x * blockDim.x + threadIdx.x;
    i64 threads = (i64)blockDim.x * gridDim.x;
    LOOP
}
"""

_SPREAD = """
    for (i64 start = thread; start < count; start += threads * EACH, ++first) {
        V values[EACH];
        block(philox(seed, thread, first), values);
        #pragma unroll
        for (int i = 0; i < EACH; ++i) {
            i64 at = start + threads * i;
            if (at < count) { V x = values[i]; out[at] = to(BODY); }
        }
    }
"""
# Dropout's elements lie side by side, as many as one load brings.
_TOGETHER = """
    for (i64 start = thread * SIDE; start < count; start += threads * SIDE) {
        #pragma unroll
        for (int i = 0; i < SIDE; i += 4, ++first) {
            V values[4];
            block(philox(seed, thread, first), values);
            #pragma unroll
            for (int j = 0; j < 4; ++j) { V x = values[j]; out[start + i + j] = to(BODY); }
        }
    }
"""
_BY_TWO = """
    V values[4];
    bool second = false;
    for (i64 start = thread * 2; start < count; start += threads * 2) {
        if (!second) block(philox(seed, thread, first++), values);
        #pragma unroll
        for (int j = 0; j < 2; ++j) {
            V x = second ? values[j + 2] : values[j];
            out[start + j] = to(BODY);
        }
        second = !second;
    }
"""

_SOURCES = {
    "bits": """__device__ void block(uint4 r, V* v) {
    v[0] = r.x; v[1] = r.y; v[2] = r.z; v[3] = r.w;
}""",
    "wide": """__device__ void block(uint4 r, V* v) {
    v[0] = (u64)r.x << 32 | r.y; v[1] = (u64)r.z << 32 | r.w;
}""",
    "uniform": """__device__ void block(uint4 r, V* v) {
    v[0] = unit32(r.x); v[1] = unit32(r.y); v[2] = unit32(r.z); v[3] = unit32(r.w);
}""",
    "uniform64": """__device__ void block(uint4 r, V* v) {
    v[0] = unit64(r.x, r.y); v[1] = unit64(r.z, r.w);
}""",
    "normal": """__device__ void pair(u32 x, u32 y, float* v) {
    float angle = y * (2.3283064e-10f * 6.2831855f) + (2.3283064e-10f * 6.2831855f) / 2.0f;
    float radius = sqrtf(-2.0f * logf(unit32(x)));
    __sincosf(angle, v, v + 1);
    v[0] *= radius; v[1] *= radius;
}
__device__ void block(uint4 r, V* v) { pair(r.x, r.y, v); pair(r.z, r.w, v + 2); }""",
    "normal64": """__device__ void block(uint4 r, V* v) {
    u64 bits = (u64)r.z ^ ((u64)r.w << 21);
    double turn = bits * (1.1102230246251565e-16 * 2.0) + 1.1102230246251565e-16;
    double radius = sqrt(-2.0 * log(unit64(r.x, r.y)));
    sincospi(turn, v, v + 1);
    v[0] *= radius; v[1] *= radius;
}""",
}

_NARROW = """
#define EXP __expf
#define LOG __logf
#define LOG1P(x) __logf(1.0f + (x))
#define TAN __tanf
#define PI 3.14159274f
#define EPSILON 1.1920929e-07f
#define CLIP(x) fminf(fmaxf(x, EPSILON), 1 - EPSILON)
"""
_DOUBLE = """
#define EXP exp
#define LOG log
#define LOG1P log1p
#define TAN tan
#define PI 3.141592653589793
#define EPSILON 2.220446049250313e-16
#define CLIP(x) x
"""


def text(recipe: str, dtype: np.dtype, side: int) -> str:
    """The kernel ``draw`` that makes elements of ``dtype``; ``side``: how many of dropout's lie
    side by side."""
    source, body = RECIPES[recipe]
    each = per_block(recipe, dtype)
    double = dtype == np.float64 and source in ("uniform", "normal")
    if source in ("uniform", "normal"):
        value, parameter = ("double", "double") if double else ("float", "float")
    else:
        value, parameter = ("u64", "u64") if source == "wide" else ("u32", "u64")
    if recipe == "dropout":
        value = "float"  # compared with a double where the elements are such
    own = {("f", 2): "half", ("V", 2): "bfloat"}.get((dtype.kind, dtype.itemsize))
    if own is not None:
        out, to, back = "unsigned short", f"{own}_bits(x)", f"{own}_value(x)"
        wide = "float"
    else:
        out = _C[dtype.kind + str(dtype.itemsize)]
        to, back = "(OUT)x", "x"
        wide = {"f": out}.get(dtype.kind, "T")
    name = source + ("64" if each == 2 and source in ("uniform", "normal") else "")
    loop = _SPREAD if side == 1 else _BY_TWO if side == 2 else _TOGETHER
    # Bodies are of one type each: what an output is made to, before it is stored.
    template = "template <class T> " if wide == "T" else ""
    source_text = (
        f"typedef {value} V;\ntypedef {parameter} P;\ntypedef {out} OUT;\n"
        + (_DOUBLE if double else _NARROW)
        + f"{template}__device__ OUT to({wide} x) {{ return {to}; }}\n"
        + (f"__device__ {wide} from(OUT x) {{ return {back}; }}\n" if wide != "T" else "")
        + _SOURCES[name]
    )
    return (
        _TEXT.replace("SOURCE", source_text)
        .replace("LOOP", loop)
        .replace("BODY", body)
        .replace("EACH", str(each))
        .replace("SIDE", str(side))
    )
