"""The base classes of providers that speak HTTP."""

from providers.http.outgoing import OutgoingRequest
from providers.http.provider import HTTPProvider
from providers.http.settings import HTTPSettings, http_schema
from providers.http.wire_provider import WireProvider

__all__ = ["HTTPProvider", "HTTPSettings", "OutgoingRequest", "WireProvider", "http_schema"]
