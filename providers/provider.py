"""`Provider`: what stands between the gateway and one LLM service. Imports the model and the extension life cycle."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, Mapping, Sequence
from typing import ClassVar, Literal

import msgspec

from providers.errors import GatewayError, RequestError
from providers.extension import Config, Extension
from providers.model import Accumulator, EmbeddingRequest, EmbeddingResponse, LLMRequest, LLMResponse
from providers.model.text_run import TextRun, expand
from providers.transport.base import UpstreamResponse


class PhaseExecution(msgspec.Struct, kw_only=True):
    """What a phase of a request reports back. A provider need not return one."""

    success: bool = True
    status: int | None = None
    error: str | None = None


Capability = Literal["chat", "streaming", "tools", "embeddings", "completions", "count_tokens", "passthrough"]
"""`completions`: OpenAI's legacy API; `passthrough`: requests in the service's own API can be passed on."""


class RelayRequest(msgspec.Struct, kw_only=True):
    """A request in the provider's own API, to be passed on as it is."""

    method: str
    target: str
    """Path, below the base URL's path, and query, percent-encoded ASCII."""
    headers: dict[str, str] = {}
    """Names in lower case. The provider's own credentials win over what is here."""
    body: bytes | AsyncIterable[bytes] = b""
    length: int | None = None
    """Of a body that comes in pieces, if it is known."""
    request_id: str = ""


class ChunkEmitter(ABC):
    """The way of a stream's chunks to the client. The gateway makes one for each call of `execute_streaming`.

    Everything is awaited and carries back-pressure: a call returns when the chunk was handed to the client's
    connection, so a slow client slows the read from the provider. All calls are cancellation points: when the client is
    gone or a deadline passed, they raise `trio.Cancelled`, which must be let through.
    """

    accumulator: Accumulator
    """Every emitted chunk is added to it. `accumulator.response()` is the response so far."""

    @abstractmethod
    async def emit_chunk(self, chunk: LLMResponse, first: bool = False, final: bool = False) -> None:
        """Pass one chunk on.

        `first` is true for the first chunk of the stream. The `final` call comes once, last, and carries the whole
        accumulated response, whose content was sent already. The gateway fills in what a provider leaves out: without a
        final call it makes one when `execute_streaming` returns, and a stream without any chunk gives one empty final
        chunk. The wire's own terminator, where there is one, is an ordinary chunk of kind `DONE`.
        """

    @abstractmethod
    async def emit_error(self, error: GatewayError) -> None:
        """End the stream with an error. Before the first chunk the same can be had by raising it."""

    takes_runs = False
    """Whether `emit_batch` takes a `TextRun` for chunks that only add text. Nobody has to make any."""

    ends = False
    """Set by who knows that nothing will be waited for behind the next batch: it may leave with the stream's end."""

    async def emit_batch(self, chunks: Sequence[LLMResponse | TextRun], first: bool = False) -> None:
        """Pass on chunks that arrived together, in order, as one write where the gateway can."""
        for chunk in expand(chunks):
            await self.emit_chunk(chunk, first)
            first = False


class Provider(Extension, ABC):
    """Serves one model entry of `gateway.yaml`. One instance for each entry, used by many requests at once.

    Both calls run inside the request's nursery and are cancelled with it; whatever they open they must close then. They
    raise `GatewayError`s (`RequestError` for a request that is wrong, `ProviderError` for a service that failed); any
    other exception is answered with a 500 and logged.
    """

    api: str = ""
    """The wire format that this provider speaks (`openai-chat`, `anthropic-messages`). A client of the same API is
    served in the lossless lane. Empty: none, every answer is encoded from the model in the middle."""

    variants: ClassVar[Mapping[str, Config]] = {}
    """The wire formats that it can speak beside the class's `api`, each with the configuration that chooses it
    (`{"openai-responses": {"api": "responses"}}`). `configure` sets the instance's `api` accordingly."""

    @classmethod
    def capabilities(cls) -> frozenset[Capability]:
        """What models of this type can be asked for, as far as the code says. Which of it one model does is its own.

        By default: conversations with tools, streamed, and whatever of the other methods the class overrides.
        """
        also: dict[Capability, bool] = {
            "count_tokens": cls.count_tokens is not Provider.count_tokens,
            "embeddings": cls.embed is not Provider.embed,
            "passthrough": cls.relay is not Provider.relay,
        }
        return frozenset({"chat", "streaming", "tools", *(name for name, has in also.items() if has)})

    @abstractmethod
    async def execute(self, request: LLMRequest) -> LLMResponse:
        """Answer the request whole."""

    @abstractmethod
    async def execute_streaming(self, request: LLMRequest, emitter: ChunkEmitter) -> PhaseExecution | None:
        """Answer the request chunk by chunk through `emitter`."""

    async def count_tokens(self, request: LLMRequest) -> LLMResponse:
        """Count the request's input tokens, into `usage.prompt_tokens`. Raises `RequestError` (404) where it cannot."""
        raise RequestError(f"the provider of model '{request.model}' cannot count tokens", status=404)

    async def embed(self, request: EmbeddingRequest) -> EmbeddingResponse:
        """The vectors of the request's inputs, one each. Raises `RequestError` (404) where it cannot."""
        raise RequestError(f"the provider of model '{request.model}' has no embeddings", status=404)

    relays_whole_bodies: ClassVar[bool] = False
    """`relay` needs the request's body in one piece (to sign it, say)."""

    async def relay(self, request: RelayRequest) -> UpstreamResponse:
        """Pass a request on to the service, credentials put in, and return its response, whatever its status.

        The caller closes the response. Each `receive` has the provider's idle deadline. Raises `RequestError` (404)
        where there is no service behind the provider, `ProviderError` where it cannot be reached.
        """
        raise RequestError("the provider of this model has no API of its own to pass requests on to", status=404)
