"""The lossless lane: what the client sent is what the provider gets, but for what routing must change."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.wire.openai_chat import WIRE


def relay(body: bytes, model: str = "other") -> bytes:
    return WIRE.relay_request(WIRE.decode_request(body), model)


def test_only_the_model_changes() -> None:
    body = b'{"messages":[{"role":"user", "content":"\\u00e9 \xc3\xa9"}],"model":"m","x":{ "deep" : [1.0, 1e3, null]}}'
    assert relay(body) == body.replace(b'"m"', b'"other"')


def test_nothing_changes_if_nothing_must() -> None:
    body = b'{ "model" : "m",\n "messages":[{"role":"user","content":"Hi"}] }\n'
    assert relay(body, "m") == body


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (b"", b',"stream_options":{"include_usage":true}'),
        (b',"stream_options":null', b',"stream_options":{"include_usage":true}'),
        (b',"stream_options":{}', b',"stream_options":{"include_usage":true}'),
        (b',"stream_options":{"include_usage":false}', b',"stream_options":{"include_usage":true}'),
        (b',"stream_options":{"x":[1, 2]}', b',"stream_options":{"x":[1, 2],"include_usage":true}'),
    ],
)
def test_streams_are_asked_for_usage(options: bytes, expected: bytes) -> None:
    head = b'{"model":"m","messages":[{"role":"user","content":"Hi"}],"stream":true'
    assert relay(head + options + b"}", "m") == head + expected + b"}"


def test_without_a_stream_options_are_left_alone() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"Hi"}],"stream_options":{"include_usage":false}}'
    assert relay(body) == body.replace(b'"m"', b'"other"')


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(unknown=st.dictionaries(st.text(min_size=1, max_size=4).map("x_{}".format), _JSON), stream=st.booleans())
def test_unknown_parameters_keep_their_bytes(unknown: dict[str, Any], stream: bool) -> None:
    value = {"model": "m", "messages": [{"role": "user", "content": "Hi", "new": unknown}], **unknown, "stream": stream}
    sent = json.loads(relay(json.dumps(value).encode()))
    expected = {**value, "model": "other"}
    if stream:
        expected["stream_options"] = {"include_usage": True}
    assert sent == expected
    assert list(sent) == list(expected)
