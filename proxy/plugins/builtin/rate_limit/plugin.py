"""The plugin: what a request must pay for, and what it is told when it cannot. Imports the SDK and its neighbours."""

from __future__ import annotations

import itertools
import math
import secrets
import time
from collections.abc import Sequence

import msgspec

from providers.errors import ErrorKind, GatewayError
from providers.extension import Config, extension
from proxy.observe.logs import get_logger
from proxy.observe.metrics import RATE_LIMIT_STORE_ERRORS, RATE_LIMITED
from proxy.plugins.base import Plugin
from proxy.plugins.builtin.rate_limit.headers import Left, Unit, headers_of
from proxy.plugins.builtin.rate_limit.leases import RENEWALS, Leases
from proxy.plugins.builtin.rate_limit.memory import MemoryStore
from proxy.plugins.builtin.rate_limit.settings import SCHEMA, WINDOWS, By, Limit, Settings
from proxy.plugins.builtin.rate_limit.store import Bucket, Demand, Level, Slots
from proxy.plugins.builtin.rate_limit.tokens import input_tokens, tokens_spent
from proxy.plugins.builtin.redis_client import RETRY_AFTER, RedisGoneError, missing_redis
from proxy.plugins.conditions import Matcher, compile_pattern
from proxy.plugins.context import PluginContext
from proxy.plugins.result import ContextUpdate, PluginResult


class _Taken(msgspec.Struct):
    """What one request has taken, and from whom."""

    shared: Leases | None
    """None: from this process' own counts."""
    estimate: int
    """Tokens of the input."""
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
        if settings.redis is None:
            return True
        if settings.lease_timeout < RENEWALS * settings.redis.timeout:
            return f"leaseTimeout: at least {RENEWALS} times redis.timeout, or leases could not be renewed in time"
        return missing_redis() or True

    async def configure(self, config: Config) -> None:
        settings = msgspec.convert(config, Settings)
        self._limits: list[tuple[Limit, tuple[Matcher, ...]]] = [
            (limit, tuple(map(compile_pattern, limit.models))) for limit in settings.limits
        ]
        self._lease = settings.lease_timeout / 1000
        self._on_store_error = settings.on_store_error
        self._local = MemoryStore()
        self._worker, self._requests = secrets.token_hex(8), itertools.count()
        self._shared: Leases | None = None
        if settings.redis is not None:
            from proxy.plugins.builtin.rate_limit.redis_store import RedisStore

            redis = settings.redis
            store = RedisStore(redis.url, prefix=redis.prefix, timeout=redis.timeout / 1000)
            self._shared = Leases(store, failed=self._store_failed)

    async def run_beside(self) -> None:
        if self._shared is not None:
            await self._shared.run()

    async def aclose(self) -> None:
        await self._local.aclose()
        if self._shared is not None:
            await self._shared.aclose()

    # -- letting in ---------------------------------------------------------------------------------------------------

    async def before_model(self, context: PluginContext) -> PluginResult | None:
        demands: list[tuple[Limit, Unit | None, Demand]] = []
        estimate = input_tokens(context.request)
        names = {_asked(context), _part("model", context)}
        for limit, models in self._limits:
            if not models or any(matches(name) for matches in models for name in names):
                demands += self._demands_of(limit, context, estimate)
        if not demands:
            return None
        counted = await self._take([demand for _, _, demand in demands])
        if counted is None:
            if self._on_store_error == "open":
                return None
            return PluginResult(success=False, error=_cannot_count())
        shared, levels = counted
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
            shared,
            estimate,
            [demand for _, unit, demand in demands if unit == "tokens" and isinstance(demand, Bucket)],
            [demand for _, _, demand in demands if isinstance(demand, Slots)],
        )
        if taken.tokens or taken.slots:
            context.defer(lambda: self._over(context, taken))
        return PluginResult(context=ContextUpdate(response_headers=headers)) if headers else None

    def _demands_of(
        self, limit: Limit, context: PluginContext, estimate: int
    ) -> list[tuple[Limit, Unit | None, Demand]]:
        who = "|".join((context.project, *(f"{by}={_part(by, context)}" for by in limit.by)))
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
                holder=f"{self._worker}:{next(self._requests)}",
                lease=self._lease,
            )
            made.append((limit, None, slots))
        return made

    async def _take(self, demands: Sequence[Demand]) -> tuple[Leases | None, list[Level]] | None:
        """Who has counted (None: this process by itself), and what is left. None: nobody could."""
        shared = self._shared
        if shared is not None:
            try:
                return shared, await shared.take(demands)
            except Exception as error:  # noqa: BLE001 - whatever the client raises, Redis cannot be asked
                if not isinstance(error, RedisGoneError):
                    self._store_failed(error)
            if self._on_store_error != "local":
                return None
        return None, self._local.take_now([_for_good(demand) for demand in demands])

    # -- when it is over ----------------------------------------------------------------------------------------------

    def _over(self, context: PluginContext, taken: _Taken) -> None:
        """Does not wait, and does not depend on a queue: a slot that is not given back is one less."""
        costs: list[Bucket] = []
        if taken.tokens:
            spent = tokens_spent(context, taken.estimate)
            costs = [msgspec.structs.replace(bucket, cost=spent - bucket.cost) for bucket in taken.tokens]
            costs = [bucket for bucket in costs if bucket.cost]
        if taken.shared is not None:
            taken.shared.over(taken.slots, costs)
        else:
            self._local.release_now(taken.slots)
            self._local.settle_now(costs)

    def _store_failed(self, error: Exception) -> None:
        RATE_LIMIT_STORE_ERRORS.inc()
        get_logger().error(
            "rate limits cannot be counted in Redis",
            exception=type(error).__name__,
            until_then=self._on_store_error,
        )


def _for_good(demand: Demand) -> Demand:
    """For this process' own counts: who holds a slot there always gives it back, and nobody renews it."""
    return msgspec.structs.replace(demand, lease=math.inf) if isinstance(demand, Slots) else demand


def _asked(context: PluginContext) -> str:
    """The model that is asked first, as the client or a plugin named it."""
    if context.routes is not None:
        return context.routes.candidates[0].model
    return context.target_model or context.request.model


def _part(by: By, context: PluginContext) -> str:
    """Who the request is of, in one respect."""
    match by:
        case "key":
            return context.key_id or ""
        case "user":
            return context.user_id or ""
        case "model":
            # Not as it was asked for: names that a pattern or the default takes are anybody's to make up.
            return context.entry_of(_asked(context)) or ""
        case "ip":
            return context.client_ip or ""
        case "project":
            return context.project
        case "all":
            return ""


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
        retry_after=RETRY_AFTER,
    )
