"""`LLMResponse`: an answer, or one chunk of it. Imports only its neighbours in the model."""

from __future__ import annotations

import enum
from typing import Any

import msgspec

from providers.model.content import Part, ReasoningPart, TextPart, ToolCallPart
from providers.model.request import RawBody, Role

FINISH_REASONS = ("stop", "length", "tool_calls", "content_filter")
"""The finish reasons of the model in the middle. The provider's own word is kept in `native_finish_reason`."""


class TokenDetails(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """Tokens counted again, by kind. All are parts of the totals in `Usage`."""

    cached_tokens: int | None = None
    """Prompt tokens read from a cache."""
    cache_creation_tokens: int | None = None
    """Prompt tokens written to a cache."""
    cache_creation_5m_tokens: int | None = None
    cache_creation_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    prompt_audio_tokens: int | None = None
    completion_audio_tokens: int | None = None
    accepted_prediction_tokens: int | None = None
    rejected_prediction_tokens: int | None = None


class Usage(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """Tokens. None: not (yet) reported. `prompt_tokens` counts every input token, cached or not."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    details: TokenDetails | None = None
    extra: dict[str, msgspec.Raw] = {}
    """Counters that only the provider's API knows (`server_tool_use`, `service_tier` ...)."""


class Choice(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """One of the answers. A whole response fills `message`, a chunk fills `delta`."""

    index: int = 0
    message: AssistantMessage | None = None
    delta: Delta | None = None
    finish_reason: str | None = None
    native_finish_reason: str | None = None
    stop_sequence: str | None = None
    logprobs: dict[str, Any] | None = None
    """OpenAI's shape: `{"content": [...], "refusal": [...]}`."""


class AssistantMessage(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    role: Role = "assistant"
    content: list[Part] = []

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.content if isinstance(part, TextPart))

    @property
    def reasoning(self) -> str:
        return "".join(part.text for part in self.content if isinstance(part, ReasoningPart))

    @property
    def tool_calls(self) -> list[ToolCallPart]:
        return [part for part in self.content if isinstance(part, ToolCallPart)]


class Delta(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    role: Role | None = None
    content: list[Part] = []


class ResponseMetadata(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    provider: str = ""
    request_id: str = ""
    upstream_request_id: str | None = None


class ErrorInfo(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """An error that a provider reported inside a stream."""

    message: str
    type: str | None = None
    code: str | None = None
    param: str | None = None
    status: int | None = None
    """The HTTP status that such an error has outside a stream, where the provider's API says so."""
    is_announced: bool = False
    """The API tells an error in two events (OpenAI's `error`, then `response.failed`) and this is the first."""


class EventKind(enum.IntEnum):
    """What a wire event is to the gateway."""

    CHUNK = 0
    """Content, or anything else that belongs to the answer."""
    KEEP_ALIVE = 1
    """A comment or ping: says only that the provider is alive."""
    USAGE = 2
    """A chunk that carries nothing but usage (hidden from a client that did not ask for it)."""
    ERROR = 3
    """The provider reports an error in band; see `LLMResponse.error`."""
    DONE = 4
    """The wire's success terminator (`[DONE]`, `message_stop`, `response.completed`). It may carry the finish reason,
    usage and content like a chunk."""


class LLMResponse(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """A whole answer (`choices[].message`) or one chunk (`choices[].delta`)."""

    id: str = ""
    object: str = "chat.completion.chunk"
    created: int = 0
    """Unix time in seconds; 0: not said."""
    model: str = ""
    choices: list[Choice] = []
    usage: Usage | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    metadata: ResponseMetadata | None = None
    kind: EventKind = EventKind.CHUNK
    error: ErrorInfo | None = None
    """What an event of kind `ERROR` says. On a whole answer: it says that it failed, and has no choices."""
    raw: RawBody | None = None
    """The own bytes of the event (or whole body), and their API. None after a change: then it is encoded again."""


def text_chunk(text: str, *, index: int = 0, finish_reason: str | None = None) -> LLMResponse:
    """A chunk that adds `text` to the first choice."""
    delta = Delta(content=[TextPart(index=index, text=text)])
    return LLMResponse(choices=[Choice(delta=delta, finish_reason=finish_reason)])


def reasoning_chunk(text: str, *, index: int = 0, signature: str = "") -> LLMResponse:
    """A chunk that adds to the model's reasoning."""
    return LLMResponse(
        choices=[Choice(delta=Delta(content=[ReasoningPart(index=index, text=text, signature=signature)]))]
    )


def tool_call_chunk(arguments: str = "", *, index: int, id: str = "", name: str = "") -> LLMResponse:  # noqa: A002
    """A chunk that starts a tool call (with `id` and `name`) or adds to its arguments."""
    part = ToolCallPart(index=index, id=id, name=name, arguments=arguments)
    return LLMResponse(choices=[Choice(delta=Delta(content=[part]))])


def finish_chunk(finish_reason: str, usage: Usage | None = None) -> LLMResponse:
    """A chunk that ends the first choice."""
    return LLMResponse(choices=[Choice(delta=Delta(), finish_reason=finish_reason)], usage=usage)


def text_response(
    text: str, *, model: str = "", finish_reason: str = "stop", usage: Usage | None = None
) -> LLMResponse:
    """A whole answer of plain text."""
    message = AssistantMessage(content=[TextPart(text=text)])
    return LLMResponse(
        object="chat.completion",
        model=model,
        usage=usage,
        choices=[Choice(message=message, finish_reason=finish_reason)],
    )


def chunk_of_whole(response: LLMResponse) -> LLMResponse:
    """One chunk that says all of a whole answer. To be encoded again: it has no `raw`."""
    choices = [
        Choice(
            index=choice.index,
            delta=Delta(
                role="assistant",
                content=[msgspec.structs.replace(part, index=i) for i, part in enumerate(choice.message.content)]
                if choice.message is not None
                else [],
            ),
            finish_reason=choice.finish_reason,
            native_finish_reason=choice.native_finish_reason,
            stop_sequence=choice.stop_sequence,
            logprobs=choice.logprobs,
        )
        for choice in response.choices
    ]
    return msgspec.structs.replace(response, object="chat.completion.chunk", choices=choices, raw=None)
