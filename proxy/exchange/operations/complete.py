"""A model's answer, whole or streamed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from providers.model import LLMRequest
from proxy.exchange import with_plugins
from proxy.exchange.answers import answer_body
from proxy.exchange.emitter import StreamEmitter
from proxy.exchange.model import ServedModel

if TYPE_CHECKING:
    from proxy.exchange.exchange import Exchange


async def complete(exchange: Exchange) -> None:
    """Read a request, have its model's provider answer it, pass the answer on."""
    request = exchange.api.transform_input(await exchange.read_call())
    exchange.api = exchange.api.for_request(request)
    outcome = exchange.outcome
    outcome.stream = request.stream
    outcome.notes = request.notes
    if exchange.project.pipeline.plugins:
        await with_plugins.complete(exchange, request)
        return
    served, request.metadata.matched = exchange.serve(request.model)
    if request.stream:
        await _stream(exchange, served, request)
    else:
        await _whole(exchange, served, request)


async def _whole(exchange: Exchange, served: ServedModel, request: LLMRequest) -> None:
    response = await served.provider.execute(request)
    exchange.outcome.usage = response.usage
    body = answer_body(exchange.api, response, request, exchange.outcome)
    await exchange.reply(200, body, exchange.answer_headers())


async def _stream(exchange: Exchange, served: ServedModel, request: LLMRequest) -> None:
    outcome = exchange.outcome

    async def write(data: bytes) -> None:
        if not outcome.in_band:
            await exchange.start_stream(request)
        await exchange.write(data)

    emitter = StreamEmitter(exchange.api, request, served.metrics, write)
    try:
        await served.provider.execute_streaming(request, emitter)
        if emitter.error is not None:
            raise emitter.error
        await emitter.close()
    except Exception:
        if emitter.held:  # what came before the fault goes out before the error does
            await write(emitter.held)
        raise
    finally:
        if emitter.first_at is not None:
            outcome.first_token = emitter.first_at - exchange.started_at
        outcome.usage = emitter.accumulator.usage
        outcome.chunks = emitter.accumulator.chunks
        outcome.dropped_blocks = emitter.dropped_blocks
    if not outcome.in_band:
        await exchange.start_stream(request)
    await exchange.end(emitter.held)
