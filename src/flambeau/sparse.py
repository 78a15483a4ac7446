"""``torch.sparse``: tensors are strided here. Its names can be imported; calling them raises."""

from __future__ import annotations

from ._missing import missing as _missing
from ._refusals import refused as _refused
from ._refusals import refusing_modules as _refusing_modules

_ADVICE = "tensors are strided: use a dense one, and index_add_ or embedding for few of its rows"
_refusing_modules(
    {
        "torch.sparse": """
            DoubleTensor FloatTensor HalfTensor IntTensor LongTensor SparseSemiStructuredTensor
            addmm as_sparse_gradcheck check_sparse_tensor_invariants log_softmax mm sampled_addmm
            softmax spdiags spsolve sum to_sparse_semi_structured
        """
    },
    _ADVICE,
)
_CONSTRUCTORS = """
    sparse_bsc_tensor sparse_bsr_tensor sparse_compressed_tensor sparse_coo_tensor
    sparse_csc_tensor sparse_csr_tensor
"""
globals().update(_refused("torch", _CONSTRUCTORS, _ADVICE))


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
