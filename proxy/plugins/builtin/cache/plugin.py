"""The plugin: looks answers up on the way in, keeps them on the way out. Imports the SDK and its neighbours.

What is kept is the answer as it is where this plugin stands: plugins of a higher priority have changed it, those of a
lower one have not, nor had they changed the request that it is kept for. So a plugin that puts a user's own words back
into answers (`regex-hider` with `restore`) belongs before the cache: by a lower priority. So does one that chooses the
model, as what it chose is part of the key: the decision (`RoutePlan.choice`), not the order in which load or chance
put the candidates, and not which of them answered.
"""

from __future__ import annotations

import time
from typing import Literal

import msgspec

from providers.extension import Config, Schema, extension
from providers.model import Accumulator, LLMResponse, ReasoningPart, RefusalPart, TextPart, ToolCallPart
from proxy.observe.logs import get_logger
from proxy.observe.metrics import CACHE_LOOKUPS
from proxy.plugins.base import Plugin
from proxy.plugins.builtin.cache.keys import key_of
from proxy.plugins.builtin.cache.replay import chunks_of
from proxy.plugins.builtin.cache.store import MemoryStore, RedisStore, Store
from proxy.plugins.builtin.redis_client import TIMEOUT_SCHEMA, URL_SCHEMA, RedisGoneError, missing_redis
from proxy.plugins.context import PluginContext
from proxy.plugins.result import ContextUpdate, PluginResult

By = Literal["key", "user"]

HEADER = "x-triway-cache"
"""From the client: `no-cache` (do not look it up), `no-store` (do not keep it), `off` (neither). To the client: `hit`,
`miss` or `bypass`."""


class RedisSettings(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    url: str
    prefix: str = "triway:cache"
    timeout: int = 1000


class Settings(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    ttl: int = 3_600_000
    max_bytes: int = 64 * 1024 * 1024
    max_entry_bytes: int = 1024 * 1024
    by: tuple[By, ...] = ()
    redis: RedisSettings | None = None


SCHEMA: Schema = {
    "type": "object",
    "properties": {
        "ttl": {
            "type": "integer",
            "minimum": 1,
            "default": 3_600_000,
            "description": "How long an answer is kept, in ms.",
        },
        "maxBytes": {
            "type": "integer",
            "minimum": 1024,
            "default": 64 * 1024 * 1024,
            "description": "Of all answers in memory together; those not used for longest go first.",
        },
        "maxEntryBytes": {
            "type": "integer",
            "minimum": 1024,
            "default": 1024 * 1024,
            "description": "Larger answers are not kept.",
        },
        "by": {
            "type": "array",
            "items": {"enum": ["key", "user"]},
            "default": [],
            "description": "Whose answers are kept apart: of each key, of each user. Default: the project shares them.",
        },
        "redis": {
            "type": "object",
            "properties": {
                "url": URL_SCHEMA,
                "prefix": {
                    "type": "string",
                    "minLength": 1,
                    "default": "triway:cache",
                    "description": "Before every key.",
                },
                "timeout": TIMEOUT_SCHEMA,
            },
            "required": ["url"],
            "additionalProperties": False,
            "description": "Keep answers here, for all workers and machines, instead of in each worker's memory.",
        },
    },
    "additionalProperties": False,
}


class Kept(msgspec.Struct, frozen=True):
    at: int
    """When it was answered, in Unix seconds."""
    response: LLMResponse


class _Answer(msgspec.Struct, frozen=True):
    attempt: int
    """How often the model had been asked again by then."""
    response: LLMResponse


class _Heard(msgspec.Struct):
    """What came by of a stream, in one attempt."""

    attempt: int
    accumulator: Accumulator | None
    """None: it will not be kept."""
    anything: bool = False
    size: int = 0
    """Bytes that it has at least, when it is kept."""

    @classmethod
    def of(cls, attempt: int, *, after: _Heard | None) -> _Heard:
        """A new attempt; `after`: one that it goes on from, in the same stream.

        Who had the model asked again may stand before this plugin or behind it, and has changed the request. So what
        goes on from words that came by here is the whole answer to no request that is known here.
        """
        goes_on = after is not None and (after.anything or after.accumulator is None)
        return cls(attempt, None if goes_on else Accumulator())


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Kept)


@extension(
    name="cache",
    version="1.0.0",
    description="Answers a request that was answered before without asking a model",
    configuration_schema=SCHEMA,
)
class Cache(Plugin):
    def validate_config(self, config: Config) -> bool | str:
        return (missing_redis() if "redis" in config else None) or True

    async def configure(self, config: Config) -> None:
        settings = self._settings = msgspec.convert(config, Settings)
        ttl = settings.ttl / 1000
        redis = settings.redis
        self._store: Store
        if redis is None:
            self._store = MemoryStore(ttl=ttl, max_bytes=settings.max_bytes)
        else:
            self._store = RedisStore(redis.url, ttl=ttl, prefix=redis.prefix, timeout=redis.timeout / 1000)

    async def aclose(self) -> None:
        await self._store.aclose()

    # -- on the way in ------------------------------------------------------------------------------------------------

    async def before_model(self, context: PluginContext) -> PluginResult | None:
        if context.operation != "complete":
            return None
        wishes = _wishes(context)
        if "off" in wishes:
            return self._told(context, "off")
        scope: list[object] = [context.project, _route(context)]
        scope += [f"key={context.key_id}"] * ("key" in self._settings.by)
        scope += [f"user={context.user_id}"] * ("user" in self._settings.by)
        key = key_of(context.request, scope)
        if "no-store" not in wishes:
            context.plugin_data["key"] = key
        if "no-cache" in wishes:
            return self._told(context, "no-cache")
        kept = await self._look_up(key)
        if kept is None:
            return self._told(context, "miss")
        context.plugin_data.pop("key", None)
        CACHE_LOOKUPS.labels(context.project, "hit").inc()
        headers = {HEADER: "hit", "age": str(max(0, int(time.time()) - kept.at))}
        if context.request.stream:
            return PluginResult(
                terminate=True, chunks=chunks_of(kept.response), context=ContextUpdate(response_headers=headers)
            )
        return PluginResult(terminate=True, context=ContextUpdate(response=kept.response, response_headers=headers))

    def _told(self, context: PluginContext, outcome: str) -> PluginResult:
        CACHE_LOOKUPS.labels(context.project, outcome).inc()
        return PluginResult(context=ContextUpdate(response_headers={HEADER: "miss" if outcome == "miss" else "bypass"}))

    async def _look_up(self, key: str) -> Kept | None:
        try:
            value = await self._store.get(key)
        except Exception as error:  # noqa: BLE001 - whatever the client raises, there is no cache now
            self._failed(error)
            return None
        if value is None:
            return None
        try:
            return _DECODER.decode(value)
        except msgspec.DecodeError:
            return None  # of another version, or not ours

    # -- on the way out -----------------------------------------------------------------------------------------------

    async def after_model(self, context: PluginContext) -> PluginResult | None:
        if "key" in context.plugin_data and context.response is not None:
            context.plugin_data["answer"] = _Answer(context.retry_count, context.response)
        return None

    async def after_chunk(self, context: PluginContext) -> PluginResult | None:
        data = context.plugin_data
        if "key" not in data:
            return None
        heard: _Heard | None = data.get("heard")
        if heard is None or heard.attempt != context.retry_count:
            heard = data["heard"] = _Heard.of(context.retry_count, after=heard if context.continued else None)
        accumulator = heard.accumulator
        if accumulator is None:
            return None
        if not context.final_chunk:
            if context.chunk is not None:
                heard.anything = True
                heard.size += _least_size(context.chunk)
                if heard.size > self._settings.max_entry_bytes:
                    heard.accumulator = None
                else:
                    accumulator.add(context.chunk)
            return None
        answer = accumulator.response()
        given = context.accumulated_response
        if answer.usage is None and given is not None:
            answer.usage = given.usage  # told by an event of its own, which says nothing else
        data["answer"] = _Answer(heard.attempt, answer)
        return None

    async def detached_after_response(self, context: PluginContext) -> PluginResult | None:
        """Kept only now: an answer that failed, was cut or was left is none to be given again."""
        key: str | None = context.plugin_data.get("key")
        answer: _Answer | None = context.plugin_data.get("answer")
        if key is None or answer is None or context.status != 200 or not answer.response.choices:
            return None
        if answer.attempt != context.retry_count:
            return None  # the model was asked again since, and what came of that was not heard to its end
        kept = Kept(int(time.time()), msgspec.structs.replace(answer.response, raw=None, metadata=None))
        value = _ENCODER.encode(kept)
        if len(value) > self._settings.max_entry_bytes:
            return None
        try:
            await self._store.put(key, value)
        except Exception as error:  # noqa: BLE001 - as in `_look_up`
            self._failed(error)
        return None

    def _failed(self, error: Exception) -> None:
        if not isinstance(error, RedisGoneError):  # which was told when it was found
            get_logger().error("the cache cannot reach Redis", exception=type(error).__name__)


def _route(context: PluginContext) -> object:
    """Who may answer, as it was decided before this plugin."""
    routes = context.routes
    if routes is None:
        return context.target_model or ""
    return routes.choice if routes.choice is not None else [candidate.model for candidate in routes.candidates]


def _least_size(chunk: LLMResponse) -> int:
    """How much longer a kept answer is for this chunk, in bytes, at least."""
    size = 0
    for choice in chunk.choices:
        if choice.logprobs:
            size += len(_ENCODER.encode(choice.logprobs))
        for part in choice.delta.content if choice.delta is not None else ():
            match part:
                case TextPart() if not part.citations:
                    size += len(part.text)
                case ReasoningPart() | RefusalPart():
                    size += len(part.text)
                case ToolCallPart():
                    size += len(part.arguments)
                case _:
                    size += len(_ENCODER.encode(part))
    return size


def _wishes(context: PluginContext) -> set[str]:
    """What the client says about caching: `x-triway-cache`, or HTTP's own `cache-control` (RFC 9111, 5.2.1)."""
    headers = context.headers
    told = f"{headers.get(HEADER, '')},{headers.get('cache-control', '')}"
    return {word.strip().lower() for word in told.split(",")}
