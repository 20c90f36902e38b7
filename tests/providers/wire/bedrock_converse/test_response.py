"""Whole answers of Converse, token counts and errors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers.errors import BadResponseError, ErrorKind, ProviderError
from providers.model import OpaquePart, RawBody, ReasoningPart, TextPart, ToolCallPart
from providers.replay.recording import Recording
from providers.wire.bedrock_converse import WIRE, decode_token_count, with_type
from tests.providers.wire.bedrock_converse.support import sdk_answer
from tests.providers.wire.reading import message_of
from tests.support.recordings import recordings


@pytest.mark.parametrize("recording", recordings("bedrock-converse", "json"))
def test_every_recording_says_what_botocore_reads(recording: Recording) -> None:
    body = recording.response.body
    ours, theirs = WIRE.decode_response(body), sdk_answer(body)
    assert ours.raw == RawBody("bedrock-converse", body)
    assert ours.choices[0].native_finish_reason == theirs["stopReason"]
    assert ours.usage is not None
    assert ours.usage.total_tokens == theirs["usage"]["totalTokens"]
    assert ours.usage.prompt_tokens == theirs["usage"]["totalTokens"] - theirs["usage"]["outputTokens"]
    content = theirs["output"]["message"]["content"]
    for block in content:
        block.get("toolUse", {}).pop("type", None)  # Claude's own word for an ordinary call
    told = [part for part in message_of(ours) if not (isinstance(part, OpaquePart) and part.kind == "guardrail")]
    assert [as_block(part) for part in told] == content
    assert (len(told) < len(message_of(ours))) == ("trace" in theirs)


def as_block(part: Any) -> dict[str, Any]:
    match part:
        case TextPart():
            return {"text": part.text}
        case ToolCallPart():
            return {"toolUse": {"toolUseId": part.id, "name": part.name, "input": json.loads(part.arguments)}}
        case ReasoningPart():
            signed = {"signature": part.signature} if part.signature else {}
            return {"reasoningContent": {"reasoningText": {"text": part.text, **signed}}}
        case _:
            raise AssertionError(part)


def answer(*content: dict[str, Any], **more: Any) -> bytes:
    message = {"role": "assistant", "content": list(content)}
    return json.dumps({"output": {"message": message}, "stopReason": "end_turn", **more}).encode()


def test_blocks_of_every_kind() -> None:
    cited = {
        "content": [{"text": "High "}, {"text": "water"}],
        "citations": [{"location": {"web": {"url": "https://t.example", "domain": "t.example"}}, "title": "T"}],
    }
    response = WIRE.decode_response(
        answer(
            {"reasoningContent": {"reasoningText": {"text": "a"}}},
            {"reasoningContent": {"redactedContent": "/w=="}},
            {"citationsContent": cited},
            {"image": {"format": "png", "source": {"bytes": "AA=="}}},
            {"toolUse": {"toolUseId": "s", "name": "web", "input": {}, "type": "server_tool_use"}},
            {"news": 1},
            trace={"guardrail": {"actionReason": "x"}},
        )
    )
    plain, redacted, text, *opaque = message_of(response)
    assert (plain.text, plain.signature, plain.format) == ("a", "", None)
    assert (redacted.redacted, redacted.format) == ("/w==", "bedrock-converse-v1")
    assert text.text == "High water"
    assert [(one.kind, one.url, one.title) for one in text.citations] == [("web", "https://t.example", "T")]
    assert [(part.kind, type(part)) for part in opaque] == [
        (kind, OpaquePart) for kind in ("image", "toolUse", "news", "guardrail")
    ]
    assert json.loads(bytes(opaque[0].raw)) == {"image": {"format": "png", "source": {"bytes": "AA=="}}}


def test_arguments_keep_their_text() -> None:
    body = b'{"output":{"message":{"content":[{"toolUse":{"toolUseId":"t","name":"f","input":{"a": 1.50}}}]}}}'
    assert message_of(WIRE.decode_response(body))[0].arguments == '{"a": 1.50}'


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"output":{}}', b'{"output":{"message":{"content":[1]}}}'])
def test_what_is_no_answer_is_a_bad_response(body: bytes) -> None:
    with pytest.raises(BadResponseError):
        WIRE.decode_response(body)


def test_an_error_under_a_good_status() -> None:
    with pytest.raises(ProviderError, match="it broke") as caught:
        WIRE.decode_response(b'{"message":"it broke"}')
    assert not isinstance(caught.value, BadResponseError)


def test_a_token_count() -> None:
    assert decode_token_count(b'{"inputTokens":42}').usage.prompt_tokens == 42  # type: ignore[union-attr]
    with pytest.raises(BadResponseError):
        decode_token_count(b"{}")


@pytest.mark.parametrize("recording", recordings("bedrock-converse", "error"))
def test_recorded_errors(recording: Recording) -> None:
    error = WIRE.decode_error(recording.response.status, recording.response.body)
    assert (error.status, error.kind, error.retryable) == (400, ErrorKind.INVALID_REQUEST, False) or error.status != 400
    assert error.message == json.loads(recording.response.body)["message"]
    assert error.raw == RawBody("bedrock-converse", recording.response.body)


@pytest.mark.parametrize(
    ("status", "type_", "kind", "told", "retryable"),
    [
        (400, "ValidationException:http://x/", ErrorKind.INVALID_REQUEST, 400, False),
        (403, "AccessDeniedException", ErrorKind.PERMISSION, 403, False),
        (404, "ResourceNotFoundException", ErrorKind.NOT_FOUND, 404, False),
        (408, "ModelTimeoutException", ErrorKind.TIMEOUT, 408, True),
        (424, "ModelErrorException", ErrorKind.SERVER, 502, False),
        (429, "com.amazon#ThrottlingException", ErrorKind.RATE_LIMIT, 429, True),
        (429, "ModelNotReadyException", ErrorKind.RATE_LIMIT, 429, True),
        (500, "InternalServerException", ErrorKind.SERVER, 500, True),
        (503, "ServiceUnavailableException", ErrorKind.OVERLOADED, 503, True),
        (403, "ExpiredTokenException", ErrorKind.AUTHENTICATION, 401, False),
    ],
)
def test_types_of_errors(status: int, type_: str, kind: ErrorKind, told: int, retryable: bool) -> None:
    error = with_type(WIRE.decode_error(status, b'{"message":"why"}'), type_)
    assert (error.kind, error.status, error.retryable) == (kind, told, retryable)
    assert error.type == type_.partition(":")[0].rpartition("#")[2]


@pytest.mark.parametrize(
    ("type_", "message"),
    [
        ("InvalidSignatureException", "The Canonical String for this request should have been 'POST ...'"),
        ("UnrecognizedClientException", "The security token included in the request is invalid."),
        (
            "AccessDeniedException",
            "User: arn:aws:iam::123456789012:user/x is not authorized to perform this",
        ),
    ],
)
def test_the_gateways_own_credentials_are_not_spoken_of(type_: str, message: str) -> None:
    error = with_type(WIRE.decode_error(403, json.dumps({"message": message}).encode()), type_)
    assert error.message == "the provider refused the gateway's credentials for this model"
    assert error.raw is None


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (502, b"<html>Bad gateway</html>", "the provider answered with status 502 (Bad Gateway)"),
        (599, b"", "the provider answered with status 599"),
        (403, b'{"Message":"no access"}', "no access"),
        (424, b'{"message":"m","originalMessage":"the model\'s own","originalStatusCode":500}', "the model's own"),
        (400, b'{"message":[1]}', "the provider answered with status 400 (Bad Request)"),
    ],
)
def test_errors_in_other_shapes_have_a_message(status: int, body: bytes, message: str) -> None:
    assert WIRE.decode_error(status, body).message == message


def test_the_name_of_a_model_is_no_secret() -> None:
    body = b'{"message":"Could not resolve arn:aws:bedrock:eu-west-3::foundation-model/x"}'
    assert "arn:aws:bedrock" in with_type(WIRE.decode_error(404, body), "ResourceNotFoundException").message


def test_the_type_may_stand_in_the_body() -> None:
    body = b'{"__type":"com.amazonaws#ThrottlingException","message":"slow"}'
    assert WIRE.decode_error(429, body).type == "ThrottlingException"
