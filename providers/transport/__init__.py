"""HTTP to the providers."""

from providers.transport.pool import ConnectionPool

__all__ = ["ConnectionPool"]
