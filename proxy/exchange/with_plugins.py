"""An exchange whose project has plugins: their way in, the model's answer through them, and what they do afterwards.

Requests of projects without plugins never come here.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from providers.errors import ErrorKind, GatewayError
from providers.model import EmbeddingRequest, EmbeddingResponse, LLMRequest, LLMResponse, Usage, chunk_of_whole
from providers.model.accumulator import add_usage
from proxy.exchange.answers import answer_body
from proxy.exchange.asking import Asking, ModelRoute
from proxy.exchange.emitter import StreamEmitter
from proxy.exchange.plugin_emitter import ChunkSink, PluginEmitter
from proxy.observe.logs import get_logger
from proxy.plugins.chunks import ChunkChain, Turn
from proxy.plugins.context import HTTPRequest, PluginContext
from proxy.plugins.pipeline import PipelineRun, PluginAnswer
from proxy.plugins.result import changed
from proxy.routing import Candidate, RoutePlan
from proxy.server.app import ClientDisconnectedError

if TYPE_CHECKING:
    from proxy.exchange.exchange import Exchange


def begin(exchange: Exchange, request: LLMRequest) -> PipelineRun:
    """The pipeline's run for this exchange; `end` is due when it is over."""
    scope = exchange.scope
    client = scope.get("client")
    project = exchange.project
    context = PluginContext(
        request=request,
        project=project.name,
        adapter=exchange.api.api,
        operation=exchange.outcome.operation,
        request_id=exchange.request_id,
        available_models=project.cards,
        http_request=HTTPRequest(
            method=scope["method"],
            path=exchange.path,
            http_version=scope.get("http_version", "1.1"),
            scheme=scope.get("scheme", "http"),
        ),
        headers=exchange.headers,
        query=scope["query_string"].decode("latin-1"),
        client_ip=client[0] if client else None,
        health=project.health_of,
        entry_of=project.entry_of,
    )
    exchange.outcome.requested_model = request.model
    run = exchange.plugins = PipelineRun(project.pipeline, context)
    return run


async def admit(exchange: Exchange, request: LLMRequest) -> LLMRequest:
    """The way in, for operations that ask one model and have no answer of a model: the request for it.

    Raises what a plugin refuses it with; a plugin's own answer would fit nowhere, and is a failure, too.
    """
    run = begin(exchange, request)
    if await run.before_model() is not None:
        get_logger().error(
            "a plugin answered what is no conversation", plugin=run.answered_by, operation=run.context.operation
        )
        message = "a plugin of the gateway answered a request that it cannot answer"
        raise GatewayError(message, kind=ErrorKind.SERVER, status=500)
    model = plan_of(run.context).candidates[0].model
    request = run.context.request
    return request if request.model == model else msgspec.structs.replace(request, model=model)


async def embed(exchange: Exchange, request: EmbeddingRequest) -> EmbeddingResponse:
    """Have an admitted request for vectors answered, by the models that plugins chose."""
    asking, plan = _asking_of(exchange)
    return await asking.embed(plan, request)


async def count_tokens(exchange: Exchange, request: LLMRequest) -> LLMResponse:
    """The same for a request whose tokens are to be counted."""
    asking, plan = _asking_of(exchange)
    return await asking.count_tokens(plan, request)


def _asking_of(exchange: Exchange) -> tuple[Asking, RoutePlan]:
    assert exchange.plugins is not None
    asking = Asking(exchange.project.resolve, partial(note, exchange), exchange.understand, exchange.request_id)
    return asking, plan_of(exchange.plugins.context)


def note(exchange: Exchange, route: ModelRoute[Any]) -> None:
    """This model is asked, or has answered."""
    outcome = exchange.outcome
    outcome.served = route.served
    outcome.notes = route.request.notes
    if exchange.plugins is not None:
        context = exchange.plugins.context
        context.served_model, context.target_model_provider = route.served.name, route.served.provider_type


def plan_of(context: PluginContext) -> RoutePlan:
    """The models to ask: what a plugin says, else the one that the client named."""
    if context.routes is not None:
        return context.routes
    return RoutePlan(candidates=(Candidate(context.target_model or context.request.model),))


async def complete(exchange: Exchange, request: LLMRequest) -> None:
    """A model's answer, whole or streamed, through the plugins."""
    run = begin(exchange, request)
    answer = await run.before_model()
    completion = _Completion(exchange, run)
    if request.stream:
        await completion.stream(answer)
    else:
        await completion.whole(answer)


def end(exchange: Exchange) -> None:
    """The exchange is over and recorded: what plugins deferred is run, and detached work handed on. Does not wait."""
    run, outcome = exchange.plugins, exchange.outcome
    assert run is not None
    context = run.context
    context.status, context.departed, context.error = outcome.recorded_status, outcome.departed, outcome.error
    context.usage, context.answered_by = outcome.usage, outcome.answered_by
    if context.served_model is None and outcome.served is not None:
        context.served_model, context.target_model_provider = outcome.served.name, outcome.served.provider_type
    figures = {
        "duration_ms": outcome.duration * 1000,
        "ttft_ms": outcome.first_token * 1000 if outcome.first_token is not None else None,
        "chunks": outcome.chunks,
        "bytes_in": outcome.bytes_in,
        "bytes_out": outcome.bytes_out,
    }
    context.metrics = {**context.metrics, **{name: value for name, value in figures.items() if value is not None}}
    if run.sent is not None and run.has_work_left():
        context.response = run.sent()
    if not run.close():
        return
    generation = exchange.generation
    generation.acquire()
    exchange.gateway.detached.submit(run.detached, generation.release)


class _Lane:
    """What the turns of one stream have in common."""

    def __init__(self, sink: ChunkSink, chain: ChunkChain) -> None:
        self.sink = sink
        self.chain = chain
        self.carries = False
        """Whether a plugin holds something of the turns that are over."""


class _Completion:
    """One answer in the making; it may take several turns."""

    def __init__(self, exchange: Exchange, run: PipelineRun) -> None:
        self._exchange = exchange
        self._run = run
        self._context = run.context
        self._request = run.context.request
        """As it is after the way in: what the answer is encoded for."""
        self._asking = Asking(exchange.project.resolve, self._chosen, exchange.understand, exchange.request_id)
        self._emitter: StreamEmitter | PluginEmitter | None = None
        self._spent: Usage | None = None
        """By turns that are over."""
        self._turns = 0
        """How many times a model has answered."""

    def _chosen(self, route: ModelRoute[Any]) -> None:
        note(self._exchange, route)
        if self._emitter is not None:
            self._emitter.metrics = route.served.metrics

    def _note_turn(self, answer: PluginAnswer | None, usage: Usage | None) -> None:
        outcome = self._exchange.outcome
        outcome.answered_by = self._run.answered_by
        outcome.asked_again = self._context.retry_count
        if answer is None:  # a plugin's own answer costs nothing
            self._spent = outcome.usage = add_usage(self._spent, usage)
            self._turns += 1

    # -- whole --------------------------------------------------------------------------------------------------------

    async def whole(self, answer: PluginAnswer | None) -> None:
        exchange, run = self._exchange, self._run
        try:
            response = await run.whole(self._ask, answer)
        finally:
            exchange.outcome.answered_by = run.answered_by
            exchange.outcome.asked_again = self._context.retry_count
        if self._spent is not None and self._turns > 1 and run.answered_by is None:
            response = changed(response, usage=self._spent)  # of all turns, as in a stream
            self._context.response = response
        body = answer_body(exchange.api, response, self._request, exchange.outcome)
        await exchange.reply(200, body, exchange.answer_headers())

    async def _ask(self) -> LLMResponse:
        context = self._context
        try:
            response = await self._asking.whole(plan_of(context), context.request)
        except (GatewayError, ClientDisconnectedError):
            raise
        except Exception as error:
            raise self._exchange.understand(error) from error
        self._note_turn(None, response.usage)
        return response

    # -- streamed -----------------------------------------------------------------------------------------------------

    async def stream(self, answer: PluginAnswer | None) -> None:
        exchange, run = self._exchange, self._run
        run.sent = self._sent
        lane: _Lane | None = None
        while True:
            try:
                turn, lane = await self._turn(answer, lane)
            except ClientDisconnectedError:
                raise
            except Exception as error:  # noqa: BLE001 - a provider's fault: plugins may know what to do
                answer = await self._after_error(exchange.understand(error), lane)
                if lane is not None:
                    lane.chain.next_turn(void=True)
                continue
            if turn is Turn.GOES_ON or turn is Turn.ENDS:
                break
            run.again()
            self._context.continued = turn is Turn.CONTINUES
            answer = None
            assert lane is not None
            lane.carries = turn is Turn.CONTINUES and lane.chain.carries
            lane.chain.next_turn(void=turn is Turn.AGAIN)
            if turn is Turn.AGAIN:
                lane = None
        await exchange.end()

    async def _after_error(self, error: GatewayError, lane: _Lane | None) -> PluginAnswer | None:
        """See `PipelineRun.on_model_error`. Raises `error` at once if the answer has begun, in the client's hands or in
        a plugin's."""
        emitter = self._emitter
        refused = isinstance(emitter, PluginEmitter) and emitter.refused
        if self._exchange.outcome.in_band or refused or (lane is not None and lane.carries):
            raise error
        return await self._run.on_model_error(error)

    async def _turn(self, answer: PluginAnswer | None, lane: _Lane | None) -> tuple[Turn, _Lane | None]:
        """Ask once, or play a plugin's own answer, and write what comes. `lane`: of the turns that this one follows."""
        api = self._exchange.api
        if lane is None and not self._run.has("after_chunk"):
            plain = self._emitter = StreamEmitter(api, self._request, None, self._write)
            try:
                await self._fill(plain, answer)
                if plain.error is not None:
                    raise plain.error
                await plain.close()
            finally:
                self._note_stream(plain, answer)
            return Turn.GOES_ON, None
        if lane is None:
            lane = _Lane(ChunkSink(api, self._request, self._write), ChunkChain(self._run))
            if self._spent is not None:  # by answers that were thrown away
                lane.sink.spent, lane.sink.relays = self._spent, False
        emitter = self._emitter = PluginEmitter(lane.chain, lane.sink)
        try:
            with emitter.scope:
                await self._fill(emitter, answer)
            if emitter.scope.cancelled_caught and answer is None and self._exchange.outcome.served is not None:
                # A plugin had enough of the answer; the model did nothing wrong.
                self._exchange.outcome.served.health.succeeded()
            await emitter.close()
            if emitter.error is not None:
                raise emitter.error
        finally:
            self._note_stream(emitter, answer)
        return emitter.turn, lane

    async def _fill(self, emitter: StreamEmitter | PluginEmitter, answer: PluginAnswer | None) -> None:
        context = self._context
        context._accumulated = emitter.accumulator.response
        if answer is None:
            await self._asking.streaming(plan_of(context), context.request, emitter)
            return
        first = True
        for chunk in answer.chunks or (chunk_of_whole(answer.whole()),):
            await emitter.emit_chunk(chunk, first)
            first = False

    def _note_stream(self, emitter: StreamEmitter | PluginEmitter, answer: PluginAnswer | None) -> None:
        outcome = self._exchange.outcome
        if emitter.first_at is not None and outcome.first_token is None:
            outcome.first_token = emitter.first_at - self._exchange.started_at
        outcome.chunks += emitter.accumulator.chunks
        outcome.dropped_blocks = emitter.dropped_blocks
        self._note_turn(answer, emitter.accumulator.usage)

    async def _write(self, data: bytes) -> None:
        exchange = self._exchange
        if not exchange.outcome.in_band:
            await exchange.start_stream(self._request)
        await exchange.write(data)

    def _sent(self) -> LLMResponse | None:
        """What the client was sent so far."""
        if isinstance(self._emitter, PluginEmitter):
            return self._emitter.sink.sent.response()
        return self._emitter.accumulator.response() if self._emitter is not None else None
