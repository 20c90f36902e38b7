"""Providers that read one thing wrongly."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TypeVar

from providers.builtin.anthropic import AnthropicProvider
from providers.builtin.openai import OpenAIProvider
from providers.errors import ErrorKind, ProviderError
from providers.model import Choice, EventKind, LLMRequest, LLMResponse, RawBody, RefusalPart, TextPart, ToolCallPart
from providers.wire.base import StreamDecoder
from tests.conformance.planted.base import Rewritten

P = TypeVar("P", TextPart, ToolCallPart)


class _Changes(OpenAIProvider):
    """Changes what it decoded, and leaves the bytes as they came."""

    takes_runs = False

    def stream_decoder(self, request: LLMRequest) -> StreamDecoder:
        return Rewritten(super().stream_decoder(request), self.change)

    def change(self, chunk: LLMResponse) -> None:
        raise NotImplementedError


def _parts(chunk: LLMResponse, kind: type[P]) -> Iterator[tuple[Choice, P]]:
    for choice in chunk.choices:
        for part in choice.delta.content if choice.delta else ():
            if isinstance(part, kind):
                yield choice, part


class LosesCallIds(_Changes):
    """Leaves tool calls without their ids."""

    def change(self, chunk: LLMResponse) -> None:
        for _, call in _parts(chunk, ToolCallPart):
            call.id = ""


class GivesAllCallsOneId(_Changes):
    """Calls every tool call the same, whatever the provider called it."""

    def change(self, chunk: LLMResponse) -> None:
        for _, call in _parts(chunk, ToolCallPart):
            call.id = "call_0" if call.id else ""


class GarblesOtherChoices(_Changes):
    """Takes care of the first choice alone."""

    def change(self, chunk: LLMResponse) -> None:
        for choice, part in _parts(chunk, TextPart):
            if choice.index:
                part.text = "garbage "


class LosesUsageDetails(_Changes):
    """Keeps the sums of tokens and forgets which were cached or thought."""

    def change(self, chunk: LLMResponse) -> None:
        if chunk.usage is not None:
            chunk.usage.details = None


class LosesCitations(_Changes):
    """Forgets the sources of a text."""

    def change(self, chunk: LLMResponse) -> None:
        for _, part in _parts(chunk, TextPart):
            part.citations = []


class LosesLogprobs(_Changes):
    """Forgets how probable the tokens were."""

    def change(self, chunk: LLMResponse) -> None:
        for choice in chunk.choices:
            choice.logprobs = None


class TakesRefusalsForText(_Changes):
    """Tells a refusal as if it were an answer."""

    def change(self, chunk: LLMResponse) -> None:
        for choice in chunk.choices:
            if choice.delta is not None:
                choice.delta.content = [
                    TextPart(index=part.index, text=part.text) if isinstance(part, RefusalPart) else part
                    for part in choice.delta.content
                ]


class NamesTheAnswerAnew(_Changes):
    """Gives the answer an id of its own."""

    def change(self, chunk: LLMResponse) -> None:
        chunk.id = "same"


class CutsCharacters(OpenAIProvider):
    """Decodes each read by itself, so a character that a border cuts is lost."""

    def stream_decoder(self, request: LLMRequest) -> StreamDecoder:
        decoder = super().stream_decoder(request)

        class Careless(Rewritten):
            def feed(self, data: bytes) -> list[LLMResponse]:
                return super().feed(data.decode("utf-8", "replace").encode())

        return Careless(decoder, lambda chunk: None)


class TakesAReadForAnEvent(OpenAIProvider):
    """Thinks that a read ends where an event does."""

    def stream_decoder(self, request: LLMRequest) -> StreamDecoder:
        class Hasty(Rewritten):
            def feed(self, data: bytes) -> list[LLMResponse]:
                head, end, _ = data.rpartition(b"\n\n")
                return super().feed(head + end)

        return Hasty(super().stream_decoder(request), lambda chunk: None)


class MergesToolCalls(OpenAIProvider):
    """Puts tool-call deltas together by their place in the delta instead of by index."""

    def stream_decoder(self, request: LLMRequest) -> StreamDecoder:
        def merge(chunk: LLMResponse) -> None:
            for choice in chunk.choices:
                calls = [
                    part for part in (choice.delta.content if choice.delta else ()) if isinstance(part, ToolCallPart)
                ]
                for position, call in enumerate(calls):
                    call.index = position
                    call.id = "call"

        return Rewritten(super().stream_decoder(request), merge)


class DropsWhatItDoesNotKnow(OpenAIProvider):
    """Writes events again from the fields that it knows."""

    def stream_decoder(self, request: LLMRequest) -> StreamDecoder:
        def forget(chunk: LLMResponse) -> None:
            if chunk.raw is not None and chunk.raw.body.startswith(b"data: {"):
                data = json.loads(chunk.raw.body[6:])
                known = ("id", "object", "created", "model", "choices", "usage", "error")
                kept = {key: data[key] for key in known if key in data}
                chunk.raw = RawBody(chunk.raw.api, b"data: " + json.dumps(kept).encode() + b"\n\n")

        return Rewritten(super().stream_decoder(request), forget)


class SwallowsUnknownEvents(OpenAIProvider):
    """Passes on only the events that it understands."""

    def stream_decoder(self, request: LLMRequest) -> StreamDecoder:
        class Choosy(Rewritten):
            def feed(self, data: bytes) -> list[LLMResponse]:
                known = b"chat.completion.chunk", b"[DONE]", b'"error"'
                return [
                    chunk
                    for chunk in super().feed(data)
                    if chunk.kind is EventKind.KEEP_ALIVE
                    or chunk.raw is None
                    or any(w in chunk.raw.body for w in known)
                ]

        return Choosy(super().stream_decoder(request), lambda chunk: None)


class CountsTwice(OpenAIProvider):
    """Adds usage up where the provider repeats it."""

    def stream_decoder(self, request: LLMRequest) -> StreamDecoder:
        def double(chunk: LLMResponse) -> None:
            usage = chunk.usage
            if usage is not None:
                usage.completion_tokens = 2 * (usage.completion_tokens or 0)

        return Rewritten(super().stream_decoder(request), double)


class LosesUsageOnACut(AnthropicProvider):
    """Believes only what the last event says of usage, so an answer that was cut cost nothing."""

    def stream_decoder(self, request: LLMRequest) -> StreamDecoder:
        def hold(chunk: LLMResponse) -> None:
            if not any(choice.finish_reason for choice in chunk.choices):
                chunk.usage = None

        return Rewritten(super().stream_decoder(request), hold)


class DiesOfTheUnknown(OpenAIProvider):
    """Takes an event that is not JSON for the end of the world."""

    def stream_decoder(self, request: LLMRequest) -> StreamDecoder:
        decoder = super().stream_decoder(request)

        class Strict(Rewritten):
            def feed(self, data: bytes) -> list[LLMResponse]:
                chunks = super().feed(data)
                if self.skipped:
                    raise ProviderError("malformed", kind=ErrorKind.BAD_RESPONSE, status=502, retryable=False)
                return chunks

        return Strict(decoder, lambda chunk: None)


class LooksAtItAllAgain(OpenAIProvider):
    """Searches an event for its end from its beginning, with each read."""

    def stream_decoder(self, request: LLMRequest) -> StreamDecoder:
        class Forgetful(Rewritten):
            waiting = b""

            def feed(self, data: bytes) -> list[LLMResponse]:
                self.waiting += data
                lines = self.waiting.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
                if "\n\n" in lines:
                    self.waiting = b""
                return super().feed(data)

        return Forgetful(super().stream_decoder(request), lambda chunk: None)


class CallsEverythingInternal(OpenAIProvider):
    """Has one status for all errors."""

    def error_in(self, status: int, headers: object, body: bytes) -> ProviderError:
        return ProviderError("it failed", kind=ErrorKind.SERVER, status=500, retryable=True)


class TriesEverythingAgain(OpenAIProvider):
    """Takes no answer for a final one."""

    def error_in(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        error = super().error_in(status, headers, body)
        error.retryable = True
        return error
