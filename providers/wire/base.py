"""What every wire format's codecs look like to the rest. Does no I/O."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from providers.errors import GatewayError, ProviderError, RequestError, UnsupportedParameterError
from providers.model import LLMRequest, LLMResponse
from providers.model.text_run import TextRun
from providers.wire.client_names import client_name


class StreamDecoder(Protocol):
    """Turns a provider's streamed body into chunks. Any split of the same bytes gives the same chunks.

    One wire event becomes one chunk, whose `raw` holds the event's own bytes; the `raw` of all chunks, joined, is the
    body, less the malformed events that were skipped.
    """

    skipped: int
    """Malformed events so far, left out of the stream."""
    dropped_blocks: int
    """Blocks so far that the model in the middle could only carry as opaque parts."""

    def feed(self, data: bytes) -> list[LLMResponse]:
        """Take in the next bytes. Raises `OversizedEventError`."""
        ...

    def eof(self) -> list[LLMResponse]:
        """The body is over. Raises `BadResponseError` if it ended inside an event or before the answer was complete."""
        ...


class RunDecoder(StreamDecoder, Protocol):
    """A stream decoder that can give what only adds text as runs (`providers.model.text_run`)."""

    def feed_runs(self, data: bytes) -> Sequence[LLMResponse | TextRun]:
        """`feed`, expanded the same chunks; may be called in turn with it. Raises `OversizedEventError`."""
        ...


_NO_INPUT = frozenset(
    {
        "audio",
        "frequency_penalty",
        "generationConfig.imageConfig",
        "generationConfig.responseModalities",
        "generationConfig.speechConfig",
        "logit_bias",
        "logprobs",
        "modalities",
        "n",
        "parallel_tool_calls",
        "presence_penalty",
        "seed",
        "stop",
        "temperature",
        "top_k",
        "top_logprobs",
        "top_p",
    }
)
"""Parameters that say how the answer is made, and so count for nothing in the input."""


class Translation:
    """Collects what a target API cannot say while a request is encoded for it.

    `drop` is for what leaves the answer's meaning alone: it is named in the `x-triway-dropped` header. `refuse` is for
    the rest: it raises `UnsupportedParameterError` unless the model's config says `dropUnsupported`. `refuse_bound`
    looks for what cannot even be dropped.

    Names are told as the client of the API `client` spells them; `spelled` says that a name is already.
    """

    __slots__ = ("client", "counts", "drop_unsupported", "dropped", "target")

    def __init__(self, target: str, *, drop_unsupported: bool = False, client: str = "") -> None:
        self.target = target
        self.drop_unsupported = drop_unsupported
        self.client = client
        self.counts = False
        """The request is only counted: what does not change its input is neither refused nor named."""
        self.dropped: list[str] = []

    def drop(self, param: str, *, spelled: bool = False) -> None:
        if self.counts and param in _NO_INPUT:
            return
        name = param if spelled else self.spell(param)
        if name not in self.dropped:
            self.dropped.append(name)

    def refuse(self, param: str, why: str = "", *, spelled: bool = False, dropped_as: str = "") -> None:
        """`dropped_as`: the name to drop it by, where `param` is the one place among many of its kind."""
        if not self.drop_unsupported and not (self.counts and param in _NO_INPUT):
            raise UnsupportedParameterError(param if spelled else self.spell(param), self.target, why)
        self.drop(dropped_as or param, spelled=spelled and not dropped_as)

    def spell(self, param: str) -> str:
        """A parameter's name as the client knows it."""
        return client_name(self.client, param)

    def refuse_bound(self, request: LLMRequest) -> None:
        """Raise `RequestError` if the request leans on what only the client's own API stores or runs."""
        for param, why in request.bound.items():
            raise RequestError(
                f"'{param}' needs a model whose provider speaks {request.metadata.api}: {why}. "
                f"This model's provider speaks {self.target}.",
                param=param,
                code="unsupported_parameter",
            )


class EncodedRequest(msgspec.Struct):
    """A request's body for a provider, and the names of the client's parameters that it does not carry."""

    body: bytes
    dropped: list[str] = []
    headers: dict[str, str] = {}
    """Headers that the body needs (`anthropic-beta` ...)."""


class StreamEncoder(Protocol):
    """Turns chunks into a client's streamed body. One for each stream; it keeps what the API's grammar needs.

    An encoder with a class attribute `relays = True` may be given chunks of its own API with their `raw`, and between
    them others that a plugin changed (which have none): it relays what it can, notes what the relayed bytes said, and
    keeps the grammar over both. Any other encoder is given chunks without `raw` only.
    """

    dropped_blocks: int
    """Parts so far that the client's API cannot say (opaque parts of another API)."""

    def encode(self, chunk: LLMResponse) -> bytes:
        """The events that say `chunk`; b"" if there is nothing to say."""
        ...

    def finish(self, response: LLMResponse) -> bytes:
        """The events that end the stream well. `response` is the accumulated answer."""
        ...


class ProviderWire(msgspec.Struct, frozen=True, kw_only=True):
    """A wire format that providers speak: its name and the codecs of the provider's side, requests out, answers in.

    All are pure functions or make plain objects.
    """

    api: str
    encode_request: Callable[[LLMRequest, str, Translation], EncodedRequest]
    """A request from any client API, for the model named, as this API's body."""
    decode_response: Callable[[bytes], LLMResponse]
    """A whole answer, with `raw` set. Raises `BadResponseError`."""
    stream_decoder: Callable[[], StreamDecoder]
    decode_error: Callable[[int, bytes], ProviderError]
    """The provider's answer with a status of 400 or more; `raw` is set if the body is this API's JSON."""


class Wire(ProviderWire, frozen=True, kw_only=True):
    """A wire format that clients speak too: the codecs of both sides, and the lossless lane between them."""

    relay_request: Callable[[LLMRequest, str], bytes]
    """The lossless lane: `request.raw` with only what routing must change (the model; asking for usage)."""

    # The client's side: requests in, answers out.
    decode_request: Callable[[bytes], LLMRequest]
    """The client's body to a request with `raw` set. Raises `RequestError` that names the field."""
    encode_response: Callable[[LLMResponse, LLMRequest], bytes]
    """A whole answer to the client's body."""
    stream_encoder: Callable[[LLMRequest], StreamEncoder]
    encode_error: Callable[[GatewayError], bytes]
    """The error's body in this API's shape, for a response with the error's status."""
    encode_stream_error: Callable[[GatewayError], bytes]
    """The error as an event in this API's shape, for a stream that has begun."""
