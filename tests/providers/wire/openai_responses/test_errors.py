"""Errors that other APIs told, in the shape that Responses clients read."""

from __future__ import annotations

import json

from providers.errors import ErrorKind, ProviderError
from providers.model import RawBody
from providers.wire.openai_responses.errors import encode_error, encode_stream_error


def test_a_chat_vendors_error_gets_every_member_of_the_shape() -> None:
    raw = RawBody("openai-chat", b'{"error":{"message":"too many"}}')
    error = ProviderError("too many", kind=ErrorKind.RATE_LIMIT, status=429, raw=raw)
    expected = {"message": "too many", "type": "rate_limit_error", "param": None, "code": "rate_limit_exceeded"}
    assert json.loads(encode_error(error)) == {"error": expected}
    (data,) = [line for line in encode_stream_error(error).splitlines() if line.startswith(b"data: ")]
    assert json.loads(data.removeprefix(b"data: "))["error"] == expected
    assert error.raw is raw


def test_a_responses_providers_error_goes_back_as_it_came() -> None:
    body = b'{"error": {"message": "too many", "extra": 1}}'
    error = ProviderError("too many", kind=ErrorKind.RATE_LIMIT, status=429, raw=RawBody("openai-responses", body))
    assert encode_error(error) == body
