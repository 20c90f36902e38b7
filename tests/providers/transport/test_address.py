"""Base URLs and the proxy on the way."""

from __future__ import annotations

import pytest

from providers.transport.address import Address, Proxy, choose_proxy, parse_base_url, parse_proxy

VARIABLES = ["http_proxy", "https_proxy", "all_proxy", "no_proxy", "request_method"]


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("url", "address", "authority"),
    [
        ("https://api.test/v1/", Address("https", "api.test", 443, b"/v1", b""), b"api.test"),
        ("https://api.test", Address("https", "api.test", 443, b"", b""), b"api.test"),
        ("https://api.test:443/", Address("https", "api.test", 443, b"", b""), b"api.test"),
        ("http://API.test:443/a?b=c", Address("http", "api.test", 443, b"/a", b"b=c"), b"api.test:443"),
        ("http://[::1]:8000", Address("http", "::1", 8000, b"", b""), b"[::1]:8000"),
        ("http://bücher.test", Address("http", "xn--bcher-kva.test", 80, b"", b""), b"xn--bcher-kva.test"),
    ],
)
def test_base_urls(url: str, address: Address, authority: bytes) -> None:
    parsed = parse_base_url(url)
    assert parsed == address
    assert parsed.authority == authority


@pytest.mark.parametrize(
    "url",
    [
        "api.test/v1",
        "ftp://api.test",
        "https://",
        "https://user:secret@api.test",
        "https://api.test/#top",
        "https://api.test:99999",
        "https://api.test/a b",
        "https://api.test/ä",
        "https://[::1",
        "https://a pi.test",
    ],
)
def test_what_is_no_base_url(url: str) -> None:
    with pytest.raises(ValueError, match="base URL") as caught:
        parse_base_url(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://proxy.test:3128", Proxy("proxy.test", 3128, None)),
        ("proxy.test", Proxy("proxy.test", 80, None)),
        ("http://me:p%40ss@proxy.test/", Proxy("proxy.test", 80, b"Basic bWU6cEBzcw==")),
    ],
)
def test_proxies(url: str, proxy: Proxy) -> None:
    assert parse_proxy(url) == proxy


@pytest.mark.parametrize("url", ["socks5://me:secret@p.test", "https://p.test", "http://p.test/path", "http://", "h:x"])
def test_what_is_no_proxy(url: str) -> None:
    with pytest.raises(ValueError, match="proxy") as caught:
        parse_proxy(url)
    assert "secret" not in str(caught.value)


SECURE = parse_base_url("https://api.test/v1")
PLAIN = parse_base_url("http://api.test/v1")


def host(address: Address, explicit: str | None = None, *, trust_env: bool = True) -> str | None:
    proxy = choose_proxy(address, explicit, trust_env=trust_env)
    return proxy and proxy.host


def test_the_environment_decides_by_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    assert host(SECURE) is None
    monkeypatch.setenv("ALL_PROXY", "http://all.test")
    assert host(SECURE) == "all.test"
    monkeypatch.setenv("HTTPS_PROXY", "http://secure.test")
    monkeypatch.setenv("http_proxy", "http://plain.test")
    assert (host(SECURE), host(PLAIN)) == ("secure.test", "plain.test")
    assert host(SECURE, trust_env=False) is None
    assert host(SECURE, "http://named.test", trust_env=False) == "named.test"


@pytest.mark.parametrize(
    ("no_proxy", "used"),
    [
        ("api.test", False),
        (".test", False),
        ("*", False),
        ("api.test:443", False),
        ("api.test:8443", True),
        ("other.test,10.0.0.1", True),
        ("pi.test", True),
    ],
)
def test_no_proxy(monkeypatch: pytest.MonkeyPatch, no_proxy: str, used: bool) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://secure.test")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert (host(SECURE) is not None) is used
    assert host(SECURE, "http://named.test") == "named.test"
