"""``torch._dynamo.exc``: PyTorch's exceptions of tracing, for ``except``; they are never raised."""

from __future__ import annotations


class TorchDynamoException(RuntimeError):
    """The base of the others."""


class Unsupported(TorchDynamoException):
    """Something cannot be traced. Here it runs eagerly."""


class BackendCompilerFailed(TorchDynamoException):
    """A back end failed. Here the function runs eagerly."""


class InvalidBackend(TorchDynamoException):
    """A name is none of a back end."""


class RecompileError(TorchDynamoException):
    """A function was compiled again where that was to be an error."""


class RecompileLimitExceeded(TorchDynamoException):
    """A function was compiled too often."""


class UserError(Unsupported):
    """A program is wrong in the eyes of the tracer."""


class InternalTorchDynamoError(TorchDynamoException):
    """The tracer itself is wrong."""
