"""Answers, from a provider and for a client: Chat's, with `text` in the place of a message. Does no I/O."""

from __future__ import annotations

import uuid
from typing import Any

from providers.model import Choice, EventKind, LLMRequest, LLMResponse, Part, RawBody, TextPart, part_kind
from providers.wire.openai_chat import response_decoder, stream_decoder
from providers.wire.openai_chat.answer_parts import ENCODER, answer_head
from providers.wire.openai_chat.usage import encode_usage
from providers.wire.openai_completions.api import API

_OBJECT = "text_completion"


def decode_response(body: bytes) -> LLMResponse:
    """A whole answer, with `raw` set. Raises `BadResponseError`, `ProviderError`."""
    response = response_decoder.decode_response(body)
    response.raw = RawBody(API, body)
    return response


class CompletionStreamDecoder(stream_decoder.ChatStreamDecoder):
    """The streamed answer of a provider."""

    __slots__ = ()

    api = API


def encode_response(response: LLMResponse, request: LLMRequest) -> bytes:
    """A whole answer for the client. What is no text goes into `notes.unsaid`."""
    parts = [part for choice in response.choices for part in _parts(choice)]
    request.notes.unsaid += [part_kind(part) for part in parts if not isinstance(part, TextPart)]
    body = answer_head(response, request, _OBJECT)
    body["choices"] = [
        _choice(choice, _text(_parts(choice)), choice.finish_reason or "stop") for choice in response.choices
    ]
    if response.usage is not None:
        body["usage"] = encode_usage(response.usage)
    return ENCODER.encode(body)


class CompletionStreamEncoder:
    """A streamed answer for the client: a chunk an event, usage at the end if it was asked for, `[DONE]`."""

    __slots__ = ("_finished", "_id", "_request", "dropped_blocks")

    def __init__(self, request: LLMRequest) -> None:
        self._request = request
        self._id = f"cmpl-{uuid.uuid4().hex}"
        """For a provider that gives none: it must be the same in all events."""
        self._finished: set[int] = set()
        self.dropped_blocks = 0

    def encode(self, chunk: LLMResponse) -> bytes:
        """The event that says `chunk`."""
        if chunk.kind is EventKind.KEEP_ALIVE:
            return b": keep-alive\n\n"
        choices = []
        for choice in chunk.choices:
            parts = _parts(choice)
            self.dropped_blocks += sum(not isinstance(part, TextPart) for part in parts)
            text = _text(parts)
            if text or choice.finish_reason or choice.logprobs:
                choices.append(_choice(choice, text, choice.finish_reason))
            if choice.finish_reason:
                self._finished.add(choice.index)
        return self._event(chunk, choices) if choices else b""

    def finish(self, response: LLMResponse) -> bytes:
        """What ends the stream well."""
        missing = [choice for choice in response.choices if choice.index not in self._finished]
        end = b""
        if missing:
            end += self._event(response, [_choice(choice, "", choice.finish_reason or "stop") for choice in missing])
        if self._request.include_usage and response.usage is not None:
            end += self._event(response, [], usage=encode_usage(response.usage))
        return end + b"data: [DONE]\n\n"

    def _event(self, response: LLMResponse, choices: list[dict[str, Any]], **more: Any) -> bytes:
        body = answer_head(response, self._request, _OBJECT) | {"choices": choices} | more
        if not response.id:
            body["id"] = self._id
        return b"data: " + ENCODER.encode(body) + b"\n\n"


def _parts(choice: Choice) -> list[Part]:
    if choice.delta is not None:
        return choice.delta.content
    return choice.message.content if choice.message is not None else []


def _text(parts: list[Part]) -> str:
    return "".join(part.text for part in parts if isinstance(part, TextPart))


def _choice(choice: Choice, text: str, finish_reason: str | None) -> dict[str, Any]:
    return {"text": text, "index": choice.index, "logprobs": choice.logprobs, "finish_reason": finish_reason}
