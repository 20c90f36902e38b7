"""The shared configuration: what the schema cannot say is checked too, in words."""

from __future__ import annotations

from pathlib import Path

import certifi
import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.extension import Config
from providers.http import HTTPSettings, http_schema
from providers.http.settings import HTTP_PROPERTIES, check_http_config

GOOD: Config = {"baseUrl": "https://api.example/v1", "apiKey": "sk-1", "customHeaders": {"X-Team": "blue\tgreen é"}}


def problem(**changes: object) -> str:
    found = check_http_config({**GOOD, **changes})
    assert isinstance(found, str), f"{changes} was taken for good"
    return found


def test_a_good_configuration_is_good() -> None:
    assert check_http_config(GOOD) is True
    assert check_http_config({}) is True


@pytest.mark.parametrize(
    "url", ["http://h", "https://h:8443/a/b/", "http://[::1]:8080", "http://127.0.0.1:1", "https://user@h/x"]
)
def test_good_urls(url: str) -> None:
    assert check_http_config({"baseUrl": url, "proxy": url}) is True


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.example",
        "//api.example",
        "ftp://h",
        "http://",
        "http:///v1",
        "http://:80",
        "http://h:99999",
        "http://[::1",
        "http://h:port",
        "file:///etc/passwd",
        "http://h:0",
    ],
)
@pytest.mark.parametrize("key", ["baseUrl", "proxy"])
def test_bad_urls(key: str, url: str) -> None:
    assert problem(**{key: url}) == f"{key}: expected an http:// or https:// URL with a host"


@pytest.mark.parametrize("url", ["http://h/v1?x=1", "http://h/v1#top"])
def test_a_base_url_has_no_query_and_no_fragment(url: str) -> None:
    assert problem(baseUrl=url) == "baseUrl: expected a URL without query and fragment"


@pytest.mark.parametrize("url", ["http://h/a b", "http://h/\r\nx: 1", "http://h/\u6771", "http://h\t/", " http://h"])
def test_a_url_that_cannot_stand_in_a_request_is_refused(url: str) -> None:
    assert problem(baseUrl=url).startswith("baseUrl: ")


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "é", "a\x00"])
def test_bad_header_names(name: str) -> None:
    assert problem(customHeaders={name: "1"}) == f"customHeaders: {name!r} is not a header name"


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding", "Connection", "Accept-Encoding"])
def test_framing_headers_are_the_gateway_s(name: str) -> None:
    assert problem(customHeaders={name: "1"}) == f"customHeaders: {name!r} is set by the gateway itself"


@pytest.mark.parametrize("value", ["a\r\nx-evil: 1", "a\n", "\x00", "東京", "\x7f"])
def test_bad_header_values_are_refused_without_being_shown(value: str) -> None:
    said = problem(customHeaders={"x-a": value})
    assert said == "customHeaders: the value of 'x-a' has characters that a header cannot have"


def test_a_bundle_of_certificates_is_looked_at(tmp_path: Path) -> None:
    missing, other = tmp_path / "none.pem", tmp_path / "other.pem"
    other.write_text("not PEM")
    assert problem(caBundle=str(missing)) == f"caBundle: no such file: {missing}"
    assert problem(caBundle=str(other)).startswith(f"caBundle: {other} cannot be used; expected a PEM file")
    assert check_http_config({"baseUrl": "http://h", "caBundle": certifi.where()}) is True


@pytest.mark.parametrize("key", ["sk-1\n", "sk 1", "\tsk", "schlüssel", "a\r\nb"])
def test_a_key_with_a_line_end_is_refused_without_being_shown(key: str) -> None:
    said = problem(apiKey=key)
    assert said.startswith("apiKey: expected printable ASCII without spaces")
    assert key.strip() not in said


@settings(deadline=None, max_examples=200)
@given(name=st.text(max_size=20), value=st.text(max_size=20), key=st.text(min_size=1, max_size=20))
def test_what_passes_can_stand_in_a_header(name: str, value: str, key: str) -> None:
    if check_http_config({"customHeaders": {name: value}}) is True:
        assert name.isascii()
        assert name
        assert not set(name + value) & set("\r\n\0")
        value.encode("latin-1")
    if check_http_config({"apiKey": key}) is True:
        assert key.isascii()
        assert key.isprintable()


def test_every_key_of_the_schema_is_a_setting_with_the_same_default() -> None:
    read = HTTPSettings(base_url="http://h")
    for name, schema in HTTP_PROPERTIES.items():
        field = next(
            f
            for f, wire in zip(HTTPSettings.__struct_fields__, HTTPSettings.__struct_encode_fields__, strict=True)
            if wire == name
        )
        if "default" in schema:
            assert getattr(read, field) == schema["default"], name
    assert set(HTTP_PROPERTIES) == set(HTTPSettings.__struct_encode_fields__)


def test_a_provider_s_properties_are_laid_over_the_shared_ones() -> None:
    schema = http_schema(required=("apiKey",), baseUrl={"default": "https://x"}, style={"enum": ["a"]})
    assert schema["properties"]["baseUrl"] == {**HTTP_PROPERTIES["baseUrl"], "default": "https://x"}
    assert schema["properties"]["style"] == {"enum": ["a"]}
    assert schema["required"] == ["apiKey"]
    assert "default" not in HTTP_PROPERTIES["baseUrl"], "the shared table is not changed"
    jsonschema.Draft202012Validator.check_schema(schema)
