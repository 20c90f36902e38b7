"""What is let through to a provider's own API, and what never is."""

from __future__ import annotations

import posixpath
import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.errors import RequestError
from proxy.apis.allowed_paths import RULE, Rule, allowed_target


def target(path: str, *rules: str, method: str = "GET", query: str = "") -> str:
    return allowed_target(path, query, method, tuple(map(Rule.of, rules)))


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("/files", "/files"),
        ("/files", "GET /files"),
        ("/files/a%20b", "/files/*"),
        ("/v1/files/a/content", "/v1/files/*/content"),
        ("/batches/a", "/batches/**"),
        ("/batches/a/b/c", "/batches/**"),
        ("/models/gemini:countTokens", "/models/gemini:countTokens"),
        ("/anything/at/all", "/**"),
    ],
)
def test_a_path_that_a_rule_names_passes_as_it_was_written(path: str, rule: str) -> None:
    assert target(path, "/other", rule) == path


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("/files/", "/files"),
        ("/files", "/files/*"),
        ("/files", "/files/**"),
        ("/files/a/b", "/files/*"),
        ("/Files", "/files"),
        ("/file", "/files"),
        ("/v1/files", "/files"),
        ("/files", "POST /files"),
    ],
)
def test_any_other_does_not(path: str, rule: str) -> None:
    with pytest.raises(RequestError) as refused:
        target(path, rule)
    assert refused.value.status in (400, 403)


def test_who_may_get_may_ask_for_the_head() -> None:
    assert target("/files", "GET /files", method="HEAD") == "/files"
    with pytest.raises(RequestError):
        target("/files", "HEAD /files", method="GET")


@pytest.mark.parametrize(
    "path",
    [
        "/files/../admin",
        "/files/..",
        "/files/.",
        "/files/%2e%2e/admin",
        "/files/.%2E",
        "/files/..;/admin",
        "/files/a%2Fb",
        "/files/a%2f..%2fadmin",
        "/files/a%5Cb",
        "/files/a\\b",
        "/files//admin",
        "//evil.example/files",
        "/http://evil.example/",
        "/files/a%252Fb",
        "/files/a%00",
        "/files/a%0d%0aX",
        "/files/a%",
        "/files/%zz",
        "/files/%ff",
        "/files/a b",
        "/files/a?b",
        "/files/a#b",
        "/files/\u00e9",
        "",
        "/",
    ],
)
def test_a_path_that_could_be_read_in_two_ways_never_passes(path: str) -> None:
    with pytest.raises(RequestError) as refused:
        target(path, "/**")
    assert refused.value.status == 400
    assert refused.value.code == "invalid_path"


@given(st.text("/.%25eEfFcC\\;abc:", max_size=20))
def test_whatever_passes_stays_below_its_rule(rest: str) -> None:
    path = f"/files/{rest}"
    try:
        allowed = target(path, "/files/**")
    except RequestError:
        return
    assert allowed == path
    for reading in (path, unquote(path), unquote(unquote(path))):
        assert posixpath.normpath(reading) == reading
        assert reading.startswith("/files/")


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("", ""),
        ("limit=5&after=x%2Fy", "?limit=5&after=x%2Fy"),
        ("key=AIza&limit=5", "?limit=5"),
        ("limit=5&KEY=AIza&%6bey=AIza", "?limit=5"),
        ("api-key=a&api_key=b&access_token=c", ""),
        ("keyword=a", "?keyword=a"),
    ],
)
def test_credentials_in_the_query_stay_here(query: str, kept: str) -> None:
    assert target("/files", "/files", query=query) == f"/files{kept}"


@pytest.mark.parametrize("rule", ["/files", "GET /files/*", "DELETE /v1/files/*", "/**", "/models/x:y"])
def test_a_rule_looks_like_this(rule: str) -> None:
    assert re.search(RULE, rule)


@pytest.mark.parametrize("rule", ["files", "/", "", "/files/", "//files", "get /files", "FETCH /a", "/a?b", "/a%2Fb"])
def test_and_not_like_that(rule: str) -> None:
    assert not re.search(RULE, rule)
