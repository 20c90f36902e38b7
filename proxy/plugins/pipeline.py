"""`Pipeline`: a project's plugins in their order; `PipelineRun`: their way along one request. Knows nothing of HTTP.

The plugins form an onion around the model. On the way in they run by rising priority, on the way out by falling one.
A plugin takes part in a request if its conditions hold when its turn comes on the way in, also if it does nothing
there; that is decided once. A plugin that answers on the way in (`terminate`) stands in for the model: the ones around
it see its answer on the way out, the ones inside never come to see it.

What a plugin decides is raised (a `GatewayError` for a refusal) or returned. What a plugin does wrong never gets out
of `_call`, unless its `onError` is `closed`: then it is a `PluginFailedError`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import msgspec
import trio

from providers.errors import ErrorKind, GatewayError
from providers.model import Accumulator, LLMResponse
from proxy.observe.logs import describe_exception, get_logger
from proxy.plugins.base import Phase
from proxy.plugins.context import PluginContext
from proxy.plugins.loaded import LoadedPlugin
from proxy.plugins.merging import GO_ON, fault_in, merge, refusal_of
from proxy.plugins.result import PluginResult


class PluginFailedError(GatewayError):
    """A plugin that must not be gone without failed."""

    def __init__(self, plugin: str) -> None:
        message = f"the gateway's plugin '{plugin}' failed, and requests do not pass without it"
        super().__init__(message, kind=ErrorKind.SERVER, status=500, code="plugin_failed")


class PluginAnswer(msgspec.Struct, kw_only=True):
    """A plugin's own answer, instead of a model's."""

    response: LLMResponse | None = None
    chunks: Sequence[LLMResponse] | None = None

    def whole(self) -> LLMResponse:
        if self.response is not None:
            return self.response
        accumulator = Accumulator()
        for chunk in self.chunks or ():
            accumulator.add(chunk)
        return accumulator.response()


class Pipeline:
    """The plugins of a project. Immutable."""

    def __init__(
        self,
        plugins: Iterable[LoadedPlugin],
        *,
        max_retries: int = 3,
        max_held_bytes: int = 1024 * 1024,
    ) -> None:
        self.plugins = tuple(sorted(plugins, key=lambda loaded: loaded.priority))
        self.max_retries = max_retries
        """How often plugins may have the model asked again, for each request."""
        self.max_held_bytes = max_held_bytes
        """How much of a stream one plugin may hold back, in bytes of text."""


class PipelineRun:
    """One request's way through a pipeline."""

    def __init__(self, pipeline: Pipeline, context: PluginContext) -> None:
        self.pipeline = pipeline
        self.context = context
        self.taking_part: list[LoadedPlugin] = []
        """The plugins whose conditions hold, by rising priority."""
        self.answered_by: str | None = None
        """The plugin that answered instead of the model."""
        self.sent: Callable[[], LLMResponse | None] | None = None
        """What a stream's client was sent so far. Set by who writes."""
        self._around: list[LoadedPlugin] | None = None
        """The plugins around that one; None: the model answers."""
        self._data: dict[int, dict[str, Any]] = {}
        self._stream_data: dict[int, dict[str, Any]] = {}
        self._to_hide = {id(loaded) for loaded in pipeline.plugins if loaded.plugin.hides}
        """Plugins that hide and have not seen the request, or failed on it."""
        context.retries_left = pipeline.max_retries
        context._to_hide = self._to_hide

    # -- the phases ---------------------------------------------------------------------------------------------------

    async def before_model(self) -> PluginAnswer | None:
        """The way in. Returns a plugin's own answer if one gives it. Raises what a plugin refuses the request with."""
        order = {id(loaded): place for place, loaded in enumerate(self.pipeline.plugins)}
        waiting = list(self.pipeline.plugins)
        skipping = False
        try:
            while waiting:
                again, waiting = waiting, []
                for place, loaded in enumerate(again):
                    if not loaded.conditions.hold(self.context):
                        waiting.append(loaded)
                        continue
                    self.taking_part.append(loaded)
                    if "before_model" not in loaded.calls:
                        self._to_hide.discard(id(loaded))
                        continue
                    if skipping:
                        continue
                    result = await self._call(loaded, "before_model")
                    if result is not _FAILED:
                        self._to_hide.discard(id(loaded))
                    if result.terminate:
                        self._stand_in(loaded, order)
                        self._match(waiting + again[place + 1 :])
                        return self._answer_of(result)
                    skipping = skipping or result.skip_remaining
                    if result.reevaluate_request:
                        waiting += again[place + 1 :]
                        break
                else:
                    self._to_hide.difference_update(map(id, waiting))  # the request is none of theirs
                    return None
        except GatewayError:
            self._match([loaded for loaded in self.pipeline.plugins if loaded not in self.taking_part])
            raise
        finally:
            self.taking_part.sort(key=lambda loaded: order[id(loaded)])
        return None

    async def whole(self, ask: Callable[[], Awaitable[LLMResponse]], answer: PluginAnswer | None = None) -> LLMResponse:
        """The whole answer, as the plugins leave it: a plugin's own `answer`, or what `ask` brings. That asks the model
        for the context's request.

        Raises what `ask` raises, or what a plugin makes of it.
        """
        while True:
            if answer is not None:
                self.context.response, answer = answer.whole(), None
            else:
                try:
                    self.context.response = await ask()
                except GatewayError as error:
                    answer = await self.on_model_error(error)
                    continue
            if not await self.after_model():
                assert self.context.response is not None
                return self.context.response
            self.again()

    async def after_model(self) -> bool:
        """The way out of `context.response`. True: the model is to be asked again. Raises a plugin's refusal."""
        for loaded in self.on_way_out("after_model"):
            result = await self._call(loaded, "after_model")
            if result.reevaluate_request and self.may_ask_again(loaded):
                return True
            if result.skip_remaining or result.terminate:
                break
        return False

    async def on_model_error(self, error: GatewayError) -> PluginAnswer | None:
        """The way out of an error, before any byte was sent. Returns a plugin's answer, or None: ask the model again.

        Raises the error, or the one that a plugin puts in its place.
        """
        self.context.error = error
        for loaded in self.on_way_out("on_model_error"):
            result = await self._call(loaded, "on_model_error")
            if result.terminate:
                self.context.error = None
                self._stream_data.clear()
                self._stand_in(loaded, {id(other): place for place, other in enumerate(self.pipeline.plugins)})
                return self._answer_of(result)
            if result.reevaluate_request and self.may_ask_again(loaded):
                self.again()
                self._stream_data.clear()
                return None
            if result.skip_remaining:
                break
        raise error

    def has(self, phase: Phase) -> bool:
        """Whether any plugin that takes part has this phase on the way out."""
        return any(phase in loaded.calls for loaded in self._outward())

    def on_way_out(self, phase: Phase) -> list[LoadedPlugin]:
        """The plugins that have the phase, by falling priority."""
        return [loaded for loaded in reversed(self._outward()) if phase in loaded.calls]

    # -- asking again -------------------------------------------------------------------------------------------------

    def may_ask_again(self, loaded: LoadedPlugin, *, begun: bool = False) -> bool:
        """Whether the model may be asked again because `loaded` wants it; a refusal is logged and counted."""
        why = "the stream has begun" if begun else "maxRetries" if self._spent() else None
        loaded.metrics.reevaluation("refused" if why else "done").inc()
        if why is not None:
            self._log("a plugin wants the request run again, but may not", loaded, self.context.phase, why=why)
        return why is None

    def again(self) -> None:
        """The model is asked again: what belongs to its last answer is gone."""
        context = self.context
        context.retry_count += 1
        context.retries_left = self.pipeline.max_retries - context.retry_count
        context.response = context.error = context.chunk = None
        self._around = self.answered_by = None

    def forget_stream(self, loaded: LoadedPlugin) -> None:
        """The stream that the plugin has seen is over for it: the next chunk that it sees belongs to another one."""
        self._stream_data.pop(id(loaded), None)

    def _spent(self) -> bool:
        return self.context.retry_count >= self.pipeline.max_retries

    # -- one call -----------------------------------------------------------------------------------------------------

    async def call_chunk(self, loaded: LoadedPlugin) -> PluginResult | None:
        """`after_chunk` of one plugin. None: it failed, and the stream goes on without it."""
        result = await self._call(loaded, "after_chunk")
        return None if result is _FAILED else result

    async def _call(self, loaded: LoadedPlugin, phase: Phase) -> PluginResult:
        """Call a phase; its changes are merged. Raises the plugin's refusal, or `PluginFailedError`."""
        result = await self._guarded(loaded, phase)
        if result is _FAILED:
            if loaded.on_error == "closed":
                raise PluginFailedError(loaded.name)
            return result
        merge(result.context, self.context)
        if not result.success:
            raise refusal_of(result).with_traceback(None)
        return result

    async def _guarded(self, loaded: LoadedPlugin, phase: Phase) -> PluginResult:
        """What the plugin returned, checked; `_FAILED`, with everything said and counted, if it did not behave."""
        self._enter(loaded, phase)
        result: object = None
        started = time.perf_counter()
        try:
            with trio.move_on_after(loaded.timeouts[phase]) as scope:
                result = await loaded.calls[phase](self.context)
        except _FAULTS as error:  # a plugin's fault has the effect that its entry states, no other
            return self._failed(loaded, phase, "raised", **describe_exception(error))
        finally:
            loaded.metrics.duration(phase).observe(time.perf_counter() - started)
        if scope.cancelled_caught:
            return self._failed(loaded, phase, "timeout", timeout_ms=round(loaded.timeouts[phase] * 1000))
        fault = fault_in(result, phase)
        if fault is not None:
            return self._failed(loaded, phase, "nonsense", fault=fault)
        return result if isinstance(result, PluginResult) else GO_ON

    def failed_by_holding(self, loaded: LoadedPlugin) -> None:
        """A plugin held back more than it may. Raises `PluginFailedError` if its `onError` is `closed`."""
        self._failed(loaded, "after_chunk", "held_too_much", max_held_bytes=self.pipeline.max_held_bytes)
        if loaded.on_error == "closed":
            raise PluginFailedError(loaded.name)

    def _enter(self, loaded: LoadedPlugin, phase: Phase) -> None:
        """Show the context as this plugin may see it."""
        context = self.context
        context.phase = phase
        data = self._data.get(id(loaded))
        if data is None:
            data = self._data[id(loaded)] = {}
        context.plugin_data = data
        stream_data = self._stream_data.get(id(loaded))
        if stream_data is None:
            stream_data = self._stream_data[id(loaded)] = {}
        context.stream_data = stream_data
        context.credentials = context.all_credentials() if loaded.plugin.sees_credentials else _NONE

    def _failed(self, loaded: LoadedPlugin, phase: Phase, reason: str, **details: object) -> PluginResult:
        loaded.metrics.failure(phase, reason).inc()
        self._log("a plugin failed", loaded, phase, reason=reason, on_error=loaded.on_error, **details)
        return _FAILED

    def _log(self, event: str, loaded: LoadedPlugin, phase: Phase, **details: object) -> None:
        get_logger().error(
            event,
            plugin=loaded.name,
            plugin_type=type(loaded.plugin).metadata.name if hasattr(type(loaded.plugin), "metadata") else None,
            phase=phase,
            project=self.context.project,
            request_id=self.context.request_id,
            **details,
        )

    # -- the end ------------------------------------------------------------------------------------------------------

    def has_work_left(self) -> bool:
        """Whether anything looks at the request when it is over."""
        detached = any("detached_after_response" in loaded.calls for loaded in self.taking_part)
        return detached or bool(self.context._finalizers)

    def close(self) -> bool:
        """The request is over: run what was deferred. True: there is detached work. Does not wait."""
        context = self.context
        context._buffered = context._accumulated = None
        context.chunk, context.final_chunk = None, False
        for callback in context._finalizers:
            try:
                callback()
            except _FAULTS as error:  # the others must run, too
                get_logger().error(
                    "a plugin's deferred call failed", request_id=context.request_id, **describe_exception(error)
                )
        context._finalizers.clear()
        return any("detached_after_response" in loaded.calls for loaded in self.taking_part)

    async def detached(self) -> None:
        """`detached_after_response` of every plugin that took part."""
        for loaded in self.taking_part:
            if "detached_after_response" in loaded.calls:
                result = await self._guarded(loaded, "detached_after_response")
                if not result.success:
                    self._log("detached work failed", loaded, "detached_after_response", error=str(result.error or ""))

    # -- who takes part -----------------------------------------------------------------------------------------------

    def _outward(self) -> list[LoadedPlugin]:
        return self.taking_part if self._around is None else self._around

    def _stand_in(self, loaded: LoadedPlugin, order: dict[int, int]) -> None:
        self.answered_by = loaded.name
        place = order[id(loaded)]
        self._around = [other for other in self.taking_part if order[id(other)] < place]

    def _match(self, plugins: Iterable[LoadedPlugin]) -> None:
        """Plugins that the request never came to watch its end all the same."""
        self.taking_part += [loaded for loaded in plugins if loaded.conditions.hold(self.context)]

    def _answer_of(self, result: PluginResult) -> PluginAnswer:
        response = self.context.response
        self.context.response = None
        return PluginAnswer(response=response, chunks=result.chunks)


_FAULTS = (Exception, SystemExit, asyncio.CancelledError)
"""What a plugin may raise without taking the gateway with it: a library that it uses may exit, or be asyncio's."""
_FAILED = PluginResult()
"""Told from `GO_ON` by identity."""
_NONE: dict[str, str] = {}
