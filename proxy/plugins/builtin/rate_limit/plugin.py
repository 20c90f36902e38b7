"""The plugin: what a request must pay for, and what it is told when it cannot. Imports the SDK and its neighbours."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec
import trio

from providers.errors import ErrorKind, GatewayError
from providers.extension import Config, extension
from providers.model import LLMRequest, TextPart, ToolCallPart, Usage
from proxy.observe.logs import get_logger
from proxy.observe.metrics import RATE_LIMIT_STORE_ERRORS, RATE_LIMITED
from proxy.plugins.base import Plugin
from proxy.plugins.builtin.rate_limit.headers import Left, Unit, headers_of
from proxy.plugins.builtin.rate_limit.memory import MemoryStore
from proxy.plugins.builtin.rate_limit.settings import SCHEMA, WINDOWS, By, Limit, Settings
from proxy.plugins.builtin.rate_limit.store import Bucket, Demand, Level, Slots, Store
from proxy.plugins.builtin.redis_client import missing_redis
from proxy.plugins.conditions import Matcher, compile_pattern
from proxy.plugins.context import PluginContext
from proxy.plugins.result import ContextUpdate, PluginResult

CHARS_PER_TOKEN = 4
RETRY_STORE_AFTER = 1.0
"""Seconds for which a store that failed is not asked."""


class _Taken(msgspec.Struct):
    """What one request has taken, and from whom."""

    store: Store
    tokens: list[Bucket]
    slots: list[Slots]


@extension(
    name="rate-limit",
    version="1.0.0",
    description="Limits requests, tokens and concurrency for each key, user, model ...",
    configuration_schema=SCHEMA,
)
class RateLimit(Plugin):
    on_error = "closed"

    def validate_config(self, config: Config) -> bool | str:
        settings = msgspec.convert(config, Settings)
        names = [limit.name for limit in settings.limits]
        if len(set(names)) < len(names):
            return "limits: each name once"
        for limit in settings.limits:
            if limit.requests is None and limit.tokens is None and limit.concurrency is None:
                return f"limit {limit.name!r}: give 'requests', 'tokens' or 'concurrency'"
            try:
                for pattern in limit.models:
                    compile_pattern(pattern)
            except ValueError as error:
                return f"limit {limit.name!r}: {error}"
        return (missing_redis() if settings.redis is not None else None) or True

    async def configure(self, config: Config) -> None:
        settings = msgspec.convert(config, Settings)
        self._limits: list[tuple[Limit, tuple[Matcher, ...]]] = [
            (limit, tuple(map(compile_pattern, limit.models))) for limit in settings.limits
        ]
        self._lease = settings.lease_timeout / 1000
        self._on_store_error = settings.on_store_error
        self._local = MemoryStore()
        self._shared: Store | None = None
        self._down_until = -1.0
        if settings.redis is not None:
            from proxy.plugins.builtin.rate_limit.redis_store import RedisStore

            redis = settings.redis
            self._shared = RedisStore(redis.url, prefix=redis.prefix, timeout=redis.timeout / 1000)

    async def aclose(self) -> None:
        await self._local.aclose()
        if self._shared is not None:
            await self._shared.aclose()

    # -- letting in ---------------------------------------------------------------------------------------------------

    async def before_model(self, context: PluginContext) -> PluginResult | None:
        demands: list[tuple[Limit, Unit | None, Demand]] = []
        estimate = _estimate(context.request)
        for limit, models in self._limits:
            asked = context.target_model or context.request.model
            if not models or any(matches(asked) for matches in models):
                demands += self._demands_of(limit, context, estimate)
        if not demands:
            return None
        store, levels = await self._take([demand for _, _, demand in demands])
        if store is None:
            if self._on_store_error == "open":
                return None
            return PluginResult(success=False, error=_cannot_count())
        headers = headers_of(context.adapter, _left(demands, levels), time.time())
        refusing = max(zip(demands, levels, strict=True), key=lambda pair: pair[1].wait)
        if refusing[1].wait > 0:
            (limit, unit, _), level = refusing
            RATE_LIMITED.labels(context.project, limit.name, unit or "concurrency").inc()
            return PluginResult(
                success=False,
                error=_refusal(limit, unit, level),
                context=ContextUpdate(response_headers=headers),
            )
        taken = _Taken(
            store,
            [demand for _, unit, demand in demands if unit == "tokens" and isinstance(demand, Bucket)],
            [demand for _, _, demand in demands if isinstance(demand, Slots)],
        )
        context.plugin_data["taken"] = taken
        if store is self._local and taken.slots:
            context.defer(lambda: self._local.release_now(taken.slots))
        return PluginResult(context=ContextUpdate(response_headers=headers)) if headers else None

    def _demands_of(
        self, limit: Limit, context: PluginContext, estimate: int
    ) -> list[tuple[Limit, Unit | None, Demand]]:
        who = "|".join(f"{by}={_part(by, context)}" for by in limit.by)
        window = WINDOWS[limit.per]
        made: list[tuple[Limit, Unit | None, Demand]] = []
        for unit, cap, cost in (("requests", limit.requests, 1.0), ("tokens", limit.tokens, float(estimate))):
            if cap is not None:
                # One that is larger than the limit itself can never be paid for at once: it empties it.
                bucket = Bucket(key=f"{limit.name}:{unit}:{who}", limit=cap, window=window, cost=min(cost, cap))
                made.append((limit, "requests" if unit == "requests" else "tokens", bucket))
        if limit.concurrency is not None:
            slots = Slots(
                key=f"{limit.name}:concurrency:{who}",
                limit=limit.concurrency,
                holder=f"{context.request_id}:{id(context):x}",
                lease=self._lease,
            )
            made.append((limit, None, slots))
        return made

    async def _take(self, demands: Sequence[Demand]) -> tuple[Store | None, list[Level]]:
        """Who has counted, and what is left. No store: nobody could."""
        shared = self._shared
        if shared is not None:
            if trio.current_time() >= self._down_until:
                try:
                    return shared, await shared.take(demands)
                except Exception as error:  # noqa: BLE001 - whatever the client raises, Redis cannot be asked
                    self._store_failed(error)
            if self._on_store_error != "local":
                return None, []
        return self._local, self._local.take_now(demands)

    # -- when it is over ----------------------------------------------------------------------------------------------

    async def detached_after_response(self, context: PluginContext) -> PluginResult | None:
        taken: _Taken | None = context.plugin_data.get("taken")
        if taken is None:
            return None
        usage = context.response.usage if context.response is not None else None
        spent = _tokens(usage)
        try:
            if taken.tokens:
                costs = [msgspec.structs.replace(bucket, cost=spent - bucket.cost) for bucket in taken.tokens]
                await taken.store.settle([bucket for bucket in costs if bucket.cost])
            if taken.slots and taken.store is not self._local:
                await taken.store.release(taken.slots)
        except Exception as error:  # noqa: BLE001 - as in `_take`; slots give themselves back
            self._store_failed(error)
        return None

    def _store_failed(self, error: Exception) -> None:
        if trio.current_time() >= self._down_until:
            get_logger().error(
                "rate limits cannot be counted in Redis",
                exception=type(error).__name__,
                until_then=self._on_store_error,
            )
        RATE_LIMIT_STORE_ERRORS.inc()
        self._down_until = trio.current_time() + RETRY_STORE_AFTER


def _part(by: By, context: PluginContext) -> str:
    """Who the request is of, in one respect."""
    match by:
        case "key":
            return context.key_id or ""
        case "user":
            return context.user_id or ""
        case "model":
            return context.target_model or context.request.model
        case "ip":
            return context.client_ip or ""
        case "project":
            return context.project
        case "all":
            return ""


def _estimate(request: LLMRequest) -> int:
    """About how many tokens the input has."""
    chars = 0
    for message in request.messages:
        for part in message.content:
            if isinstance(part, TextPart):
                chars += len(part.text)
            elif isinstance(part, ToolCallPart):
                chars += len(part.arguments)
    return -(-chars // CHARS_PER_TOKEN)


def _tokens(usage: Usage | None) -> float:
    if usage is None:
        return 0.0
    if usage.total_tokens is not None:
        return float(usage.total_tokens)
    return float((usage.prompt_tokens or 0) + (usage.completion_tokens or 0))


def _left(demands: Sequence[tuple[Limit, Unit | None, Demand]], levels: Sequence[Level]) -> dict[Unit, Left]:
    """The narrowest limit of each unit."""
    narrowest: dict[Unit, Left] = {}
    for (_, unit, demand), level in zip(demands, levels, strict=True):
        if unit is None or not isinstance(demand, Bucket):
            continue
        left = Left(int(demand.limit), int(level.remaining), (demand.limit - level.remaining) / demand.rate)
        known = narrowest.get(unit)
        if known is None or left.remaining < known.remaining:
            narrowest[unit] = left
    return narrowest


def _refusal(limit: Limit, unit: Unit | None, level: Level) -> GatewayError:
    if unit is None:
        words = f"{limit.concurrency} requests at the same time"
    else:
        words = f"{limit.requests if unit == 'requests' else limit.tokens} {unit} per {limit.per}"
    return GatewayError(
        f"rate limit '{limit.name}' reached: {words}; try again in {max(level.wait, 0.001):.3g} s",
        kind=ErrorKind.RATE_LIMIT,
        status=429,
        code="rate_limit_exceeded",
        retry_after=level.wait,
    )


def _cannot_count() -> GatewayError:
    return GatewayError(
        "the gateway cannot count requests at the moment, and lets none in uncounted",
        kind=ErrorKind.UNAVAILABLE,
        status=503,
        retry_after=RETRY_STORE_AFTER,
    )
