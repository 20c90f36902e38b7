"""The configuration that every HTTP provider shares: camelCase keys, times in milliseconds, as in `gateway.yaml`."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import msgspec

from providers.extension import Config, Schema
from providers.transport.tls import own_client_context

_MS = {"type": "integer", "minimum": 1}

HTTP_PROPERTIES: Schema = {
    "apiKey": {"type": "string", "minLength": 1, "description": "The provider's API key. Never logged."},
    "baseUrl": {"type": "string", "minLength": 1, "description": "Where the provider's API is."},
    "model": {
        "type": "string",
        "minLength": 1,
        "description": "The model to ask for, whatever the client calls it.",
    },
    "bypassModel": {
        "type": "boolean",
        "default": False,
        "description": "Send the client's model name (under a pattern: what the * matched) instead of `model`.",
    },
    "retryAttempts": {
        "type": "integer",
        "minimum": 0,
        "maximum": 10,
        "default": 2,
        "description": "How often a request is tried again, before the first byte has gone to the client.",
    },
    "retryDelay": {
        **_MS,
        "default": 500,
        "description": "Base of the exponential, fully jittered delay between tries, in ms.",
    },
    "timeout": {**_MS, "default": 600_000, "description": "The whole answer, retries included, in ms."},
    "connectTimeout": {
        **_MS,
        "default": 10_000,
        "description": "A connection, with the wait for a free slot, DNS and TLS, in ms.",
    },
    "firstTokenTimeout": {
        **_MS,
        "default": 300_000,
        "description": "From sending the request to the stream's first event, in ms.",
    },
    "idleTimeout": {**_MS, "default": 120_000, "description": "The gap between two reads of a stream, in ms."},
    "maxConnections": {
        "type": "integer",
        "minimum": 1,
        "default": 2000,
        "description": "Upstream connections at most.",
    },
    "customHeaders": {
        "type": "object",
        "additionalProperties": {"type": "string"},
        "default": {},
        "description": "Headers added to every upstream request; they win over the gateway's own.",
    },
    "proxy": {"type": "string", "description": "An HTTP proxy's URL. Default: HTTPS_PROXY, HTTP_PROXY, NO_PROXY."},
    "caBundle": {
        "type": "string",
        "format": "path",
        "description": "PEM file with the CAs to trust, not the default ones; relative to the configuration file.",
    },
    "http2": {
        "type": "boolean",
        "default": False,
        "description": "Offer HTTP/2 upstream, by httpx's transport.",
    },
}


def http_schema(*, required: tuple[str, ...] = (), **properties: Schema) -> Schema:
    """A provider's configuration schema: the shared keys, changed and added to by `properties`.

    A property given for a shared key is laid over it, so `baseUrl={"default": "..."}` is enough.
    """
    merged = {name: dict(value) for name, value in HTTP_PROPERTIES.items()}
    for name, value in properties.items():
        merged[name] = {**merged.get(name, {}), **value}
    return {
        "type": "object",
        "properties": merged,
        "required": list(required),
        "additionalProperties": False,
    }


class HTTPSettings(msgspec.Struct, rename="camel", kw_only=True):
    """The shared keys, checked. Times are milliseconds here too: they are what the file says."""

    base_url: str
    api_key: str | None = None
    model: str | None = None
    bypass_model: bool = False
    retry_attempts: int = 2
    retry_delay: int = 500
    timeout: int = 600_000
    connect_timeout: int = 10_000
    first_token_timeout: int = 300_000
    idle_timeout: int = 120_000
    max_connections: int = 2000
    custom_headers: dict[str, str] = {}
    proxy: str | None = None
    ca_bundle: str | None = None
    http2: bool = False


_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_FRAMING = {"host", "content-length", "transfer-encoding", "connection", "accept-encoding", "expect", "upgrade"}


def check_http_config(config: Config) -> bool | str:
    """What the schema cannot say of the shared keys: URLs and headers. True, or what is wrong."""
    for name in ("baseUrl", "proxy"):
        url = config.get(name)
        if url is None:
            continue
        try:
            parts = urlsplit(url)
            valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            valid = False
        if not valid:
            return f"{name}: expected an http:// or https:// URL with a host"
        if not re.fullmatch(r"[\x21-\x7e]+", url):  # urlsplit drops line ends silently
            return f"{name}: expected a URL of printable ASCII without spaces"
        if name == "baseUrl" and (parts.query or parts.fragment):
            return "baseUrl: expected a URL without query and fragment"
    for name, value in config.get("customHeaders", {}).items():
        if not _HEADER_NAME.fullmatch(name):
            return f"customHeaders: {name!r} is not a header name"
        if name.lower() in _FRAMING:
            return f"customHeaders: {name!r} is set by the gateway itself"
        if not _HEADER_VALUE.fullmatch(value):
            return f"customHeaders: the value of {name!r} has characters that a header cannot have"
    bundle = config.get("caBundle")
    if bundle is not None:
        try:
            own_client_context(bundle)
        except FileNotFoundError:
            return f"caBundle: no such file: {bundle}"
        except OSError:  # ssl.SSLError is one
            return f"caBundle: {bundle} cannot be used; expected a PEM file of certificates, or a folder of them"
    key = config.get("apiKey")
    if key is not None and not re.fullmatch(r"[\x21-\x7e]+", key):
        return "apiKey: expected printable ASCII without spaces (is there a line end in the variable?)"
    return True
