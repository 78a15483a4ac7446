# ruff: noqa: F401  (this module is where the names below are found)
"""``torch.special``: the functions of mathematical physics and statistics, by SciPy's names.

Source: https://docs.pytorch.org/docs/stable/special.html
"""

from __future__ import annotations

from .ops.elementwise import exp2, expm1, log1p, logit, round
from .ops.elementwise import sigmoid as expit
from .ops.reductions import logsumexp
from .ops.softmax import log_softmax, softmax
from .ops.special_functions import (
    airy_ai,
    bessel_j0,
    bessel_j1,
    bessel_y0,
    bessel_y1,
    chebyshev_polynomial_t,
    chebyshev_polynomial_u,
    chebyshev_polynomial_v,
    chebyshev_polynomial_w,
    digamma,
    entr,
    erf,
    erfc,
    erfcx,
    erfinv,
    hermite_polynomial_h,
    hermite_polynomial_he,
    i0,
    i0e,
    i1,
    i1e,
    laguerre_polynomial_l,
    legendre_polynomial_p,
    log_ndtr,
    modified_bessel_i0,
    modified_bessel_i1,
    modified_bessel_k0,
    modified_bessel_k1,
    ndtr,
    ndtri,
    polygamma,
    scaled_modified_bessel_k0,
    scaled_modified_bessel_k1,
    shifted_chebyshev_polynomial_t,
    shifted_chebyshev_polynomial_u,
    shifted_chebyshev_polynomial_v,
    shifted_chebyshev_polynomial_w,
    sinc,
    spherical_bessel_j0,
    xlog1py,
    xlogy,
    zeta,
)
from .ops.special_functions import digamma as psi
from .ops.special_functions import igamma as gammainc
from .ops.special_functions import igammac as gammaincc
from .ops.special_functions import lgamma as gammaln
from .ops.special_functions import mvlgamma as multigammaln
