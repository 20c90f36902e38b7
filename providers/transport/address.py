"""Where a pool's requests go: the base URL taken apart, and the proxy on the way. Imports nothing of the gateway."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

import msgspec

_DEFAULT_PORTS = {"http": 80, "https": 443}
_VISIBLE = re.compile(rb"[!-~]*")


class Address(msgspec.Struct, frozen=True):
    """A base URL, in the pieces that requests need."""

    scheme: str
    """`http` or `https`."""
    host: str
    """As a socket wants it: ASCII, IPv6 without brackets."""
    port: int
    path: bytes
    """Put before every target; without a slash at its end."""
    query: bytes
    """Added to every target's own query; without the question mark."""

    @property
    def authority(self) -> bytes:
        """The `host` header: the port only where it is not the scheme's own (RFC 9110, 7.2)."""
        return self._named(with_port=self.port != _DEFAULT_PORTS[self.scheme])

    @property
    def authority_with_port(self) -> bytes:
        """The target of a CONNECT (RFC 9110, 9.3.6)."""
        return self._named(with_port=True)

    def _named(self, *, with_port: bool) -> bytes:
        name = f"[{self.host}]" if ":" in self.host else self.host
        return (f"{name}:{self.port}" if with_port else name).encode()


class Proxy(msgspec.Struct, frozen=True):
    """An HTTP proxy."""

    host: str
    port: int
    authorization: bytes | None
    """The value of `proxy-authorization`, from the URL's userinfo (RFC 7617)."""


def parse_base_url(url: str) -> Address:
    """Take a base URL apart. Raises ValueError that says what is wrong with it, without any userinfo in the text."""
    parts = _split(url, "base URL")
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError(f"base URL: expected http:// or https://, got {parts.scheme!r}")
    if "@" in parts.netloc:
        raise ValueError("base URL: must not hold a user name or password; send an authorization header")
    if parts.fragment:
        raise ValueError("base URL: must not have a fragment")
    host, port = _host(parts, "base URL"), _port(parts, "base URL")
    path, query = parts.path.rstrip("/").encode(), parts.query.encode()
    if not _VISIBLE.fullmatch(path) or not _VISIBLE.fullmatch(query):
        raise ValueError("base URL: characters outside of visible ASCII must be percent-encoded")
    return Address(parts.scheme, host, port or _DEFAULT_PORTS[parts.scheme], path, query)


def parse_proxy(url: str) -> Proxy:
    """Take a proxy's URL apart (`http://user:password@host:port`; the scheme may be left out). Raises ValueError.

    Only plain HTTP proxies are spoken to: TLS to the service goes through them with CONNECT, so nothing but the
    service's name is shown to them.
    """
    parts = _split(url if "://" in url else f"http://{url}", "proxy")
    if parts.scheme != "http":
        raise ValueError(f"proxy: only http:// proxies are supported, got {parts.scheme!r}")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("proxy: expected scheme, host and port only")
    authorization = None
    if "@" in parts.netloc:
        user = unquote_to_bytes(parts.username or "") + b":" + unquote_to_bytes(parts.password or "")
        authorization = b"Basic " + base64.b64encode(user)
    return Proxy(_host(parts, "proxy"), _port(parts, "proxy") or 80, authorization)


def choose_proxy(address: Address, explicit: str | None, *, trust_env: bool) -> Proxy | None:
    """The proxy on the way to `address`, or None.

    One that is named explicitly is used for whatever host. Otherwise, with `trust_env`, the environment decides:
    `http_proxy` or `https_proxy` by the scheme, then `all_proxy`; `no_proxy` wins over them. As urllib has it, lower
    case goes before upper case. Raises ValueError for a URL that is no HTTP proxy's.
    """
    if explicit:
        return parse_proxy(explicit)
    if not trust_env:
        return None
    proxies: Mapping[str, str] = getproxies_environment()
    url = proxies.get(address.scheme) or proxies.get("all")
    if not url or proxy_bypass_environment(address.authority_with_port.decode(), dict(proxies)):
        return None
    return parse_proxy(url)


def _split(url: str, what: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:
        raise ValueError(f"{what}: not a URL") from error


def _host(parts: SplitResult, what: str) -> str:
    host = parts.hostname
    if not host:
        raise ValueError(f"{what}: no host")
    try:
        ascii_host = host if host.isascii() else host.encode("idna").decode()
    except UnicodeError as error:
        raise ValueError(f"{what}: not a valid host name") from error
    if not _VISIBLE.fullmatch(ascii_host.encode()):
        raise ValueError(f"{what}: not a valid host name")
    return ascii_host


def _port(parts: SplitResult, what: str) -> int | None:
    try:
        return parts.port
    except ValueError as error:
        raise ValueError(f"{what}: not a valid port") from error
