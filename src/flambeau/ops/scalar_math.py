# ruff: noqa: F401  (this module is where the names below are found)
"""Functions of one number that NumPy lacks, on arrays: the special functions and their like.

Each takes array-likes that broadcast and returns an ndarray (0-d for 0-d input) of the floating
type of its arguments (`_scalar_apply.float_type`); float16 and bfloat16 are computed in float32.
``f.__wrapped__`` is the bare formula on flat float32 or float64 arrays: ufuncs, `polynomial`,
`ratio` and `choose` on tables of coefficients, which a kernel generator can follow.
"""

from __future__ import annotations

from ._scalar_apply import elementwise, via_float32
from ._scalar_bessel import (
    airy_ai,
    bessel_j0,
    bessel_j1,
    bessel_y0,
    bessel_y1,
    spherical_bessel_j0,
)
from ._scalar_elementary import (
    entr,
    expit,
    expm1,
    frexp,
    ldexp,
    log1p,
    log_sigmoid,
    logaddexp,
    logaddexp2,
    logit,
    nextafter,
    round_decimals,
    sinc,
    softplus,
    tanh,
    xlog1py,
    xlogy,
)
from ._scalar_erf import erf, erfc, erfcx, erfinv, log_ndtr, ndtr, ndtri
from ._scalar_gamma import digamma, lgamma, multigammaln, polygamma, trigamma, zeta
from ._scalar_igamma import gammainc, gammaincc
from ._scalar_modified_bessel import i0, i0e, i1, i1e, k0, k0e, k1, k1e
from ._scalar_orthogonal import (
    chebyshev_polynomial_t,
    chebyshev_polynomial_u,
    chebyshev_polynomial_v,
    chebyshev_polynomial_w,
    hermite_polynomial_h,
    hermite_polynomial_he,
    laguerre_polynomial_l,
    legendre_polynomial_p,
    shifted_chebyshev_polynomial_t,
    shifted_chebyshev_polynomial_u,
    shifted_chebyshev_polynomial_v,
    shifted_chebyshev_polynomial_w,
)

# PyTorch's longer names of the same functions.
gammaln = lgamma
igamma, igammac = gammainc, gammaincc
modified_bessel_i0, modified_bessel_i1 = i0, i1
modified_bessel_k0, modified_bessel_k1 = k0, k1
psi = digamma
scaled_modified_bessel_k0, scaled_modified_bessel_k1 = k0e, k1e
sigmoid = expit
