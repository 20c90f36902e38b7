"""`LLMRequest`: what a client asks, in no API's particular spelling. Imports its neighbours and the retry budget."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Protocol

import msgspec

from providers.model.content import JSONObject, Part, TextPart
from providers.retry_budget import RetryBudget

Role = Literal["system", "developer", "user", "assistant", "tool"]


class Message(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One turn. Results of tools stand in messages of role `tool`, as one or more `ToolResultPart`s."""

    role: Role
    content: list[Part] = []
    name: str | None = None
    is_instructions: bool = False
    """It stood outside the conversation, in a parameter of its own (OpenAI Responses' `instructions`)."""
    extra: dict[str, msgspec.Raw] | None = None
    """Fields of the client's API that the model has no field for, as they came. See `TextPart.extra`."""

    @property
    def text(self) -> str:
        """All text parts, joined."""
        return "".join(part.text for part in self.content if isinstance(part, TextPart))


class Tool(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A tool the model may call. `kind="opaque"` is one that only `api` knows (a server-run tool); see `raw`."""

    name: str
    description: str | None = None
    parameters: JSONObject | None = None
    """JSON Schema of the arguments."""
    strict: bool | None = None
    kind: Literal["function", "custom", "opaque"] = "function"
    cache_control: JSONObject | None = None
    api: str = ""
    raw: JSONObject | None = None
    """The tool's definition whole, as `api` spells it (custom and opaque tools)."""


class ToolChoice(msgspec.Struct, kw_only=True, omit_defaults=True):
    """`auto`: the model decides; `required`: some tool; `tool`: the one named; `none`: no tool."""

    mode: Literal["auto", "none", "required", "tool"]
    name: str | None = None
    allowed: list[str] = []
    """With `auto` and `required`: the tools that may be called, of those that the request names. Empty: all."""

    @classmethod
    def among(cls, mode: Literal["auto", "none", "required"], names: Iterable[str]) -> ToolChoice:
        """The choice among the named tools alone. Some tool of one is that tool."""
        allowed = list(dict.fromkeys(names))
        if mode == "required" and len(allowed) == 1:
            return cls(mode="tool", name=allowed[0])
        return cls(mode=mode, allowed=[] if mode == "none" else allowed)


class ResponseFormat(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Structured output: free text, any JSON object, or JSON that follows `schema`."""

    kind: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    description: str | None = None
    schema: JSONObject | None = None
    strict: bool | None = None


class Reasoning(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How much to think: OpenAI's `effort`, Anthropic's `thinking`."""

    enabled: bool | None = None
    """False: asked not to think. None: not said."""
    effort: str | None = None
    """`none`, `minimal`, `low`, `medium`, `high`, `xhigh`, `max`."""
    budget_tokens: int | None = None
    adaptive: bool = False
    """Anthropic's `thinking: {type: adaptive}`."""
    display: str | None = None


class RawBody(msgspec.Struct, gc=False):
    """A body as it came over the wire, with the name of the API it is written in."""

    api: str
    body: bytes


class RequestMetadata(msgspec.Struct, kw_only=True, omit_defaults=True):
    request_id: str = ""
    user_id: str | None = None
    session_id: str | None = None
    api: str = ""
    """The client API that the request came through (`openai-chat`, `anthropic-messages`)."""
    headers: dict[str, str] = {}
    """Headers of the client that belong to its API and go on to a provider of the same API (`anthropic-beta` ...)."""
    query: str = ""
    framing: str = ""
    """How the client wants a stream framed, where its API has several ways (Gemini's `alt`)."""
    matched: str | None = None
    """What the `*` of a model pattern stood for; sent upstream under `bypassModel`."""
    retry_budget: RetryBudget | None = None
    """Who pays for a provider's further tries. None: its configuration alone limits them."""


class RequestNotes(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """What a provider tells of its work on a request. The gateway reads it whatever the outcome is."""

    retries: int = 0
    """How many times the upstream request was made again."""
    dropped: list[str] = []
    """The client's parameters that the upstream request does not carry (the `x-triway-dropped` header)."""
    skipped_events: int = 0
    """Malformed events of the provider that were left out of the stream."""
    dropped_blocks: int = 0
    """Parts of the answer that the model in the middle holds only as opaque."""
    unsaid: list[str] = []
    """What a whole answer held that the client's API cannot say: the kind of each part (`part_kind`), `citation` and so
    on. Written by who encodes the answer; of a stream it is counted by the encoder (`dropped_blocks`)."""
    upstream_request_id: str | None = None
    headers: dict[str, str] = {}
    """The provider's response headers that may go on to a client of the same API (names in lower case)."""


class Unread(msgspec.Struct, gc=False):
    """What is wrong with a field, for a client that asks another API: see `LLMRequest.unread`."""

    message: str
    code: str | None = None


class ServiceRequest(Protocol):
    """What any request to a provider has, whatever it asks for."""

    model: str
    metadata: RequestMetadata
    notes: RequestNotes


class LLMRequest(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A request for a completion.

    Whoever changes any field after decoding must set `raw` to None: only then is the provider's body encoded from the
    fields again. As long as `raw` is set and the provider speaks the same API, the client's bytes are what is sent.
    """

    model: str
    messages: list[Message] = []
    stream: bool = False
    include_usage: bool = False
    """The client asked for a usage chunk (OpenAI's `stream_options.include_usage`)."""

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: list[str] = []
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    n: int | None = None

    tools: list[Tool] = []
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    reasoning: Reasoning | None = None

    extra: dict[str, msgspec.Raw] = {}
    """Parameters of the client's API that the model in the middle has no field for and that change the answer."""
    hints: dict[str, msgspec.Raw] = {}
    """The same, but harmless when left out (cache keys, storage, service tiers, labels)."""
    kept: dict[str, msgspec.Raw] = {}
    """Parameters that mean something to the client's API alone and ask nothing of another (what is shown in the answer,
    a default that was spelled out). They go back to that API; elsewhere nobody needs to be told."""
    bound: dict[str, str] = {}
    """Parameters that lean on what the client's API stores or runs, each with the reason why no other API can honour
    it. Without them the answer would be senseless, so they are refused even under `dropUnsupported`."""

    unread: dict[str, Unread] = {}
    """Fields that are not what the client's API defines, by their names as the client spelled them. A provider of that
    API may know them as they came (they are in an `extra`); another API cannot be told them, so there they are wrong,
    even under `dropUnsupported`."""

    metadata: RequestMetadata = msgspec.field(default_factory=RequestMetadata)
    raw: RawBody | None = None
    notes: RequestNotes = msgspec.field(default_factory=RequestNotes)
