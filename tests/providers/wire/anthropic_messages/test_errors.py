"""Errors keep their kind through Anthropic's shape, both directions."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import pytest

from providers.errors import ErrorKind, GatewayError, ProviderError, RequestError
from providers.model import RawBody
from providers.wire.anthropic_messages import WIRE
from tests.providers.wire.anthropic_messages.grammar import events_of
from tests.providers.wire.anthropic_messages.support import sdk_client

OWN = b'{"type":"error","error":{"type":"rate_limit_error","message":"slow\\ndown","new":1},"request_id":"req_1"}'


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_every_kind_has_a_type(kind: ErrorKind) -> None:
    body = json.loads(WIRE.encode_error(GatewayError("why", kind=kind, status=500)))
    assert body == {"type": "error", "error": {"type": body["error"]["type"], "message": "why"}, "request_id": None}
    (event,) = events_of(WIRE.encode_stream_error(GatewayError("why", kind=kind, status=500)))
    assert event == {"type": "error", "error": body["error"]}


@pytest.mark.parametrize(
    ("status", "kind", "raised"),
    [
        (400, ErrorKind.INVALID_REQUEST, anthropic.BadRequestError),
        (401, ErrorKind.AUTHENTICATION, anthropic.AuthenticationError),
        (403, ErrorKind.PERMISSION, anthropic.PermissionDeniedError),
        (404, ErrorKind.NOT_FOUND, anthropic.NotFoundError),
        (429, ErrorKind.RATE_LIMIT, anthropic.RateLimitError),
        (500, ErrorKind.SERVER, anthropic.InternalServerError),
        (529, ErrorKind.OVERLOADED, anthropic.InternalServerError),
    ],
)
def test_the_sdk_raises_the_right_class(status: int, kind: ErrorKind, raised: type[Exception]) -> None:
    body = WIRE.encode_error(GatewayError("why", kind=kind, status=status))
    ask: Any = [{"role": "user", "content": "x"}]
    with sdk_client(status, body) as client, pytest.raises(raised, match="why"):
        client.messages.create(model="m", max_tokens=1, messages=ask)
    again = WIRE.decode_error(status, body)
    assert (again.kind, again.status, again.message) == (kind, status, "why")


def test_a_providers_own_error_is_relayed() -> None:
    error = WIRE.decode_error(429, OWN)
    assert WIRE.encode_error(error) == OWN
    assert events_of(WIRE.encode_stream_error(error)) == [json.loads(OWN)]


@pytest.mark.parametrize("tail", [b"\n\n", b"\n", b""])
def test_an_error_event_is_relayed_into_a_stream_and_framed_for_a_body(tail: bytes) -> None:
    raw = b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"m"}}'
    error = ProviderError("m", kind=ErrorKind.SERVER, status=500, type="api_error")
    error.raw = RawBody("anthropic-messages", raw + tail)
    assert WIRE.encode_stream_error(error) == raw + b"\n\n"
    assert json.loads(WIRE.encode_error(error))["error"] == {"type": "api_error", "message": "m"}


def test_another_apis_raw_error_is_not_relayed() -> None:
    error = ProviderError("m", kind=ErrorKind.RATE_LIMIT, status=429, type="insufficient_quota")
    error.raw = RawBody("openai-chat", b'{"error":{}}')
    assert json.loads(WIRE.encode_error(error))["error"] == {"type": "rate_limit_error", "message": "m"}


def test_a_request_error_names_its_field() -> None:
    body = json.loads(WIRE.encode_error(RequestError("messages.0.role: field required", param="messages.0.role")))
    assert body["error"] == {"type": "invalid_request_error", "message": "messages.0.role: field required"}


def test_an_anthropic_error_body() -> None:
    body = b'{"type":"error","error":{"type":"permission_error","message":"no","details":{"error_code":"x"}}}'
    error = WIRE.decode_error(403, body)
    assert (error.kind, error.status, error.upstream_status) == (ErrorKind.PERMISSION, 403, 403)
    assert (error.message, error.type, error.code, error.retryable) == ("no", "permission_error", "x", False)
    assert error.raw == RawBody("anthropic-messages", body)


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (502, b"<html><body>Bad gateway</body></html>", "the provider answered with status 502 (Bad Gateway)"),
        (529, b"", "the provider answered with status 529 (Overloaded)"),
        (599, b"\xff\xfe", "the provider answered with status 599"),
        (500, b"[]", "the provider answered with status 500 (Internal Server Error)"),
        (400, b"{}", "the provider answered with status 400 (Bad Request)"),
        (400, b'{"error":{"message":"openai style","type":"x"}}', "openai style"),
        (400, b'{"error":"plain"}', "plain"),
        (404, b'{"detail":"Not Found"}', "Not Found"),
        (400, b'{"message":"gateway style"}', "gateway style"),
        (400, b'{"error":[1],"message":7}', "the provider answered with status 400 (Bad Request)"),
    ],
)
def test_errors_in_other_shapes_have_a_message_and_no_raw(status: int, body: bytes, message: str) -> None:
    error = WIRE.decode_error(status, body)
    assert (error.message, error.status, error.raw) == (message, status, None)
    assert error.retryable == (status >= 500)


@pytest.mark.parametrize("body", [{"error": "x" * 9999}, {"error": {"message": "x" * 9999}}])
def test_a_foreign_message_is_cut(body: dict[str, Any]) -> None:
    assert len(WIRE.decode_error(400, json.dumps(body).encode()).message) == 500


def test_a_type_of_another_api_counts_only_if_it_fits_the_status() -> None:
    error = ProviderError("no such model", kind=ErrorKind.NOT_FOUND, status=404, type="invalid_request_error")
    assert json.loads(WIRE.encode_error(error))["error"]["type"] == "not_found_error"
