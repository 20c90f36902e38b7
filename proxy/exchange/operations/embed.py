"""The vectors of texts, as a model's provider makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from providers.errors import ErrorKind, GatewayError
from providers.model import EmbeddingRequest, LLMRequest, Message, OpaquePart, Part, TextPart
from proxy.exchange import with_plugins

if TYPE_CHECKING:
    from proxy.exchange.exchange import Exchange


async def embed(exchange: Exchange) -> None:
    """Read a request for embeddings and have it answered."""
    request = exchange.api.transform_embedding_input(await exchange.read_call())
    exchange.outcome.notes = request.notes
    if exchange.project.pipeline.plugins:
        response = await with_plugins.embed(exchange, await _admitted(exchange, request))
    else:
        served, request.metadata.matched = exchange.serve(request.model)
        response = await served.provider.embed(request)
    exchange.outcome.usage = response.usage
    raw = response.raw
    is_own = raw is not None and raw.api == exchange.api.api
    body = raw.body if raw is not None and is_own else exchange.api.transform_embeddings(response, request)
    await exchange.reply(200, body, exchange.answer_headers())


async def _admitted(exchange: Exchange, request: EmbeddingRequest) -> EmbeddingRequest:
    """The request as the plugins leave it. To them its inputs are the parts of one message: texts, or `OpaquePart`s of
    the kind `tokens`."""
    parts: list[Part] = [TextPart(index=index, text=text) for index, text in enumerate(request.texts)]
    for index, tokens in enumerate(request.tokens):
        raw = msgspec.Raw(msgspec.json.encode(tokens))
        parts.append(OpaquePart(index=index, kind="tokens", api=exchange.api.api, raw=raw))
    given = LLMRequest(
        model=request.model,
        messages=[Message(role="user", content=parts)],
        extra=request.extra,
        metadata=request.metadata,
        raw=request.raw,
    )
    admitted = await exchange.admit(given)
    texts = [part.text for message in admitted.messages for part in message.content if isinstance(part, TextPart)]
    if len(texts) != len(request.texts):
        message = "a plugin of the gateway has changed the number of the request's inputs"
        raise GatewayError(message, kind=ErrorKind.SERVER, status=500)
    return msgspec.structs.replace(
        request,
        model=admitted.model,
        texts=texts,
        extra=admitted.extra,
        metadata=admitted.metadata,
        raw=admitted.raw,
    )
