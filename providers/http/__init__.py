"""The base classes of providers that speak HTTP."""

from providers.http.provider import HTTPProvider, OutgoingRequest
from providers.http.settings import HTTPSettings, http_schema
from providers.http.wire_provider import WireProvider

__all__ = ["HTTPProvider", "HTTPSettings", "OutgoingRequest", "WireProvider", "http_schema"]
