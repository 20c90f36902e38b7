"""Errors of this wire, read and written, the official SDK as judge."""

from __future__ import annotations

import json
from pathlib import Path

import openai
import pytest
from openai._streaming import SSEDecoder

from providers.errors import (
    BadResponseError,
    ErrorKind,
    GatewayError,
    ProviderConnectionError,
    ProviderError,
    ProviderTimeoutError,
    RequestError,
)
from providers.model import RawBody
from providers.wire.openai_chat import WIRE
from providers.wire.openai_chat.errors import _KINDS, _TYPES

ALL = [
    RequestError("m", param="messages[0].role", code="invalid_value"),
    ProviderTimeoutError("idle", 1.5),
    ProviderConnectionError("m"),
    BadResponseError("m"),
    *(GatewayError("m", kind=kind, status=400) for kind in ErrorKind),
]


@pytest.mark.parametrize("error", ALL, ids=lambda error: f"{type(error).__name__}-{error.kind}")
def test_body_has_the_four_members(error: GatewayError) -> None:
    body = json.loads(WIRE.encode_error(error))
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert body["error"]["message"] == error.message
    assert body["error"]["type"] == _TYPES[error.kind][0]
    assert body["error"]["param"] == error.param
    if error.code is not None:
        assert body["error"]["code"] == error.code


def test_every_kind_has_a_type_and_all_but_one_are_read_back_from_it() -> None:
    # OpenAI calls an unknown model an invalid request; its status tells.
    assert {_KINDS[type_] for type_, _ in _TYPES.values()} == set(ErrorKind) - {ErrorKind.NOT_FOUND}


@pytest.mark.parametrize("error", ALL, ids=lambda error: f"{type(error).__name__}-{error.kind}")
def test_stream_error_is_one_event_with_an_error_member_and_no_done(error: GatewayError) -> None:
    [event] = SSEDecoder().iter_bytes(iter([WIRE.encode_stream_error(error)]))
    assert event.json()["error"]["message"] == error.message


def test_what_is_written_is_read_back() -> None:
    for kind, status in [
        (ErrorKind.INVALID_REQUEST, 400),
        (ErrorKind.AUTHENTICATION, 401),
        (ErrorKind.PERMISSION, 403),
        (ErrorKind.NOT_FOUND, 404),
        (ErrorKind.RATE_LIMIT, 429),
        (ErrorKind.BILLING, 429),
        (ErrorKind.OVERLOADED, 503),
        (ErrorKind.SERVER, 500),
    ]:
        body = WIRE.encode_error(GatewayError("m", kind=kind, status=status))
        assert WIRE.decode_error(status, body).kind is kind


def test_an_error_of_the_same_api_goes_back_as_it_came() -> None:
    body = b'{"error": {"message": "no", "extra": 1}, "user_id": "u"}'
    error = WIRE.decode_error(400, body)
    assert WIRE.encode_error(error) == body
    [event] = SSEDecoder().iter_bytes(iter([WIRE.encode_stream_error(error)]))
    assert event.json() == json.loads(body)
    pretty = WIRE.decode_error(400, b'{\n  "error": {\n    "message": "no"\n  }\n}\n')
    assert WIRE.encode_stream_error(pretty) == b'data: {"error":{"message":"no"}}\n\n'


def test_a_stream_error_of_the_same_api_goes_back_as_it_came() -> None:
    event = b'event: error\ndata: {"error": {"message": "no"}}\n\n'
    error = ProviderError("no", kind=ErrorKind.SERVER, status=502, raw=RawBody("openai-chat", event))
    assert WIRE.encode_stream_error(error) == event
    assert json.loads(WIRE.encode_error(error))["error"]["message"] == "no"


def test_an_error_of_another_api_is_translated() -> None:
    raw = RawBody("anthropic-messages", b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}')
    error = ProviderError("busy", kind=ErrorKind.OVERLOADED, status=529, raw=raw, type="overloaded_error")
    assert json.loads(WIRE.encode_error(error))["error"] == {
        "message": "busy",
        "type": "overloaded_error",
        "param": None,
        "code": "overloaded",
    }


def test_recordings(error_recording: Path) -> None:
    meta = json.loads(error_recording.with_suffix(".json").read_text())
    body = error_recording.read_bytes()
    wire = json.loads(body)["error"]
    error = WIRE.decode_error(meta["response"]["status"], body)
    assert error.status == error.upstream_status == meta["response"]["status"]
    assert error.message == wire["message"]
    assert error.code == (str(wire["code"]) if wire["code"] is not None else None)
    assert error.type == wire.get("type")
    assert error.param == wire.get("param")
    assert error.raw == RawBody("openai-chat", body)
    assert error.retryable is (error.status == 429)


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (500, b"", ErrorKind.SERVER, "the provider answered with status 500 (Internal Server Error)"),
        (502, b"<html><h1>Bad</h1></html>", ErrorKind.SERVER, "the provider answered with status 502 (Bad Gateway)"),
        (409, b"wait\n", ErrorKind.CONFLICT, "the provider answered with status 409 (Conflict): wait"),
        (400, b"x" * 1000, ErrorKind.INVALID_REQUEST, "the provider answered with status 400 (Bad Request)"),
        (529, b"\xff\x00", ErrorKind.OVERLOADED, "the provider answered with status 529"),
        (404, b"{}", ErrorKind.NOT_FOUND, "the provider answered with status 404 (Not Found)"),
        (422, b'{"detail":[{"msg":"bad"}]}', ErrorKind.UNPROCESSABLE, '[{"msg": "bad"}]'),
        (400, b'{"object":"error","message":"too long","code":400}', ErrorKind.INVALID_REQUEST, "too long"),
        (404, b'{"error":"model not found"}', ErrorKind.NOT_FOUND, "model not found"),
        (400, b'[{"error":{"code":400,"message":"bad key"}}]', ErrorKind.INVALID_REQUEST, "bad key"),
    ],
)  # fmt: skip
def test_vendors_errors(status: int, body: bytes, kind: ErrorKind, message: str) -> None:
    error = WIRE.decode_error(status, body)
    assert (error.kind, error.message, error.status) == (kind, message, status)
    assert (error.raw is not None) is body.startswith(b'{"error"')


def test_an_empty_account_is_not_tried_again() -> None:
    body = b'{"error":{"message":"pay","type":"insufficient_quota","code":"insufficient_quota","param":null}}'
    error = WIRE.decode_error(429, body)
    assert (error.kind, error.retryable) == (ErrorKind.BILLING, False)


def test_sdk_reads_our_error_body() -> None:
    body = json.loads(WIRE.encode_error(RequestError("bad", param="n", code="invalid_value")))
    error = openai.APIError("x", request=None, body=body["error"])  # type: ignore[arg-type]
    assert (error.code, error.param, error.type) == ("invalid_value", "n", "invalid_request_error")
