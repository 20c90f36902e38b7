"""The whole official client on our bytes: an in-memory transport in place of the network."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import openai
import pytest

from providers.errors import ErrorKind, GatewayError, RequestError
from providers.model import LLMRequest, LLMResponse, finish_chunk, text_chunk, text_response, tool_call_chunk
from providers.wire.openai_chat import WIRE

httpx2 = pytest.importorskip("httpx2", reason="openai before 3 has another HTTP client")

MESSAGES = [{"role": "user", "content": "Hi"}]


class Gateway:
    """Answers with the bytes that it is given, and decodes the request as the gateway does."""

    def __init__(self, body: bytes, *, status: int = 200, content_type: str = "application/json") -> None:
        self.request: LLMRequest | None = None

        def handle(request: Any) -> Any:
            self.request = WIRE.decode_request(request.read())
            return httpx2.Response(status, headers={"content-type": content_type}, content=body)

        client = httpx2.Client(transport=httpx2.MockTransport(handle))
        self.client = openai.OpenAI(api_key="k", base_url="http://gateway.test/v1", http_client=client, max_retries=0)


def stream(chunks: Iterable[LLMResponse], end: bytes | None = None) -> Gateway:
    encoder = WIRE.stream_encoder(LLMRequest(model="m"))
    body = b"".join(encoder.encode(chunk) for chunk in chunks)
    body += encoder.finish(LLMResponse()) if end is None else end
    return Gateway(body, content_type="text/event-stream")


def test_whole_answer() -> None:
    gateway = Gateway(WIRE.encode_response(text_response("Hello"), LLMRequest(model="m")))
    completion = gateway.client.chat.completions.create(model="m", messages=MESSAGES, temperature=0.5)  # type: ignore[call-overload]
    assert completion.choices[0].message.content == "Hello"
    assert gateway.request is not None
    assert (gateway.request.model, gateway.request.temperature) == ("m", 0.5)
    gateway.client.close()


def test_stream() -> None:
    gateway = stream([text_chunk("Hel"), text_chunk("lo"), finish_chunk("stop")])
    chunks = gateway.client.chat.completions.create(model="m", messages=MESSAGES, stream=True)  # type: ignore[call-overload]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello"
    assert gateway.request is not None
    assert gateway.request.stream
    gateway.client.close()


def test_stream_helper_with_tool_calls() -> None:
    gateway = stream([tool_call_chunk("{}", index=0, id="c", name="f"), finish_chunk("tool_calls")])
    with gateway.client.chat.completions.stream(model="m", messages=MESSAGES) as events:  # type: ignore[arg-type]
        [call] = events.get_final_completion().choices[0].message.tool_calls or []
    assert (call.id, call.function.name, call.function.arguments) == ("c", "f", "{}")
    gateway.client.close()


def test_error_in_a_stream_is_raised() -> None:
    error = GatewayError("it broke", kind=ErrorKind.CONNECTION, status=502)
    gateway = stream([text_chunk("Hel")], WIRE.encode_stream_error(error))
    chunks = gateway.client.chat.completions.create(model="m", messages=MESSAGES, stream=True)  # type: ignore[call-overload]
    assert next(chunks).choices[0].delta.content == "Hel"
    with pytest.raises(openai.APIError, match="it broke") as caught:
        next(chunks)
    assert (caught.value.type, caught.value.code) == ("connection_error", "upstream_connection")
    gateway.client.close()


def test_error_response() -> None:
    error = RequestError("'n': expected an integer", param="n", code="invalid_type")
    gateway = Gateway(WIRE.encode_error(error), status=400)
    with pytest.raises(openai.BadRequestError) as caught:
        gateway.client.chat.completions.create(model="m", messages=MESSAGES)  # type: ignore[call-overload]
    assert (caught.value.param, caught.value.code) == ("n", "invalid_type")
    assert caught.value.type == "invalid_request_error"
    gateway.client.close()
