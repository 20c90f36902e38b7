"""Counts in Redis or Valkey, for several workers and machines.

Each call is one script, run as a whole: what it reads, nobody changes before it writes. Time is Redis' own, so machines
whose clocks differ agree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from proxy.plugins.builtin.rate_limit.store import Bucket, Demand, Level, Slots
from proxy.plugins.builtin.redis_client import RedisClient, ThreadCall

_COMMON = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000

local function balance_of(key, limit, rate)
  local known = redis.call('HMGET', key, 'b', 't')
  if not known[1] then return limit end
  return math.min(limit, tonumber(known[1]) + (now - tonumber(known[2])) * rate)
end

local function set_balance(key, balance, limit, rate)
  redis.call('HSET', key, 'b', string.format('%.6f', balance), 't', string.format('%.6f', now))
  -- A bucket that has filled up is as good as none.
  redis.call('PEXPIRE', key, math.ceil((limit - balance) / rate * 1000) + 1000)
end
"""

_LEASE = """
local function lease(key, holder, seconds)
  redis.call('ZADD', key, now + seconds, holder)
  local last = redis.call('ZREVRANGE', key, 0, 0, 'WITHSCORES')
  redis.call('PEXPIRE', key, math.ceil((tonumber(last[2]) - now) * 1000) + 1000)
end
"""

TAKE = (
    _COMMON
    + _LEASE
    + """
-- First come the keys that are taken from, four arguments each; then those that are owed a slot, with its holder.
local count = tonumber(table.remove(ARGV))
for i = count + 1, #KEYS do redis.call('ZREM', KEYS[i], ARGV[count * 4 + i - count]) end
local levels, refused = {}, false
for i = 1, count do
  local key = KEYS[i]
  local kind, limit, a, b = ARGV[i * 4 - 3], tonumber(ARGV[i * 4 - 2]), ARGV[i * 4 - 1], ARGV[i * 4]
  local remaining, wait
  if kind == 'b' then
    local rate, cost = tonumber(a), tonumber(b)
    local balance = balance_of(key, limit, rate)
    local missing = -balance
    if cost > 0 then missing = cost - balance end
    remaining, wait = balance, math.max(missing, 0) / rate
  else
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
    remaining = limit - redis.call('ZCARD', key)
    wait = remaining > 0 and 0 or 1
  end
  if wait > 0 then refused = true end
  levels[i] = {remaining, wait}
end
local out = {}
for i = 1, count do
  local key = KEYS[i]
  local kind, limit, a, b = ARGV[i * 4 - 3], tonumber(ARGV[i * 4 - 2]), ARGV[i * 4 - 1], ARGV[i * 4]
  if not refused then
    if kind == 'b' then
      local balance = balance_of(key, limit, tonumber(a)) - tonumber(b)
      set_balance(key, balance, limit, tonumber(a))
      levels[i] = {balance, 0}
    else
      lease(key, a, tonumber(b))
      levels[i] = {limit - redis.call('ZCARD', key), 0}
    end
  end
  out[i] = {string.format('%.6f', math.max(levels[i][1], 0)), string.format('%.6f', levels[i][2])}
end
return out
"""
)

SETTLE = (
    _COMMON
    + """
for i, key in ipairs(KEYS) do
  local limit, rate, cost = tonumber(ARGV[i * 3 - 2]), tonumber(ARGV[i * 3 - 1]), tonumber(ARGV[i * 3])
  set_balance(key, math.min(limit, balance_of(key, limit, rate) - cost), limit, rate)
end
"""
)

RENEW = (
    _COMMON
    + _LEASE
    + """
for i, key in ipairs(KEYS) do lease(key, ARGV[i * 2 - 1], tonumber(ARGV[i * 2])) end
"""
)

RELEASE = "for i, key in ipairs(KEYS) do redis.call('ZREM', key, ARGV[i]) end"


class RedisStore:
    """A `Store`. `url`: `redis://`, `rediss://` or `unix://`. `timeout` in seconds, for each call."""

    def __init__(self, url: str, *, prefix: str, timeout: float) -> None:
        self._prefix = prefix
        self._client = RedisClient(url, timeout=timeout)
        self._scripts = {name: self._client.redis.register_script(text) for name, text in _SCRIPTS.items()}

    async def take(
        self,
        demands: Sequence[Demand],
        *,
        owed: Sequence[Slots] = (),
        left_behind: Callable[[ThreadCall[Any]], object] | None = None,
    ) -> list[Level]:
        """`owed` is given back first. `left_behind`: see `RedisClient.run`."""
        arguments: list[str | float] = []
        for demand in demands:
            if isinstance(demand, Bucket):
                arguments += ["b", demand.limit, repr(demand.rate), demand.cost]
            else:
                arguments += ["s", demand.limit, demand.holder, demand.lease]
        arguments += [slot.holder for slot in owed]
        arguments.append(len(demands))
        levels = await self._run("take", [demand.key for demand in (*demands, *owed)], arguments, left_behind)
        return [Level(remaining=float(remaining), wait=float(wait)) for remaining, wait in levels]

    async def settle(self, buckets: Sequence[Bucket]) -> None:
        arguments: list[str | float] = []
        for bucket in buckets:
            arguments += [bucket.limit, repr(bucket.rate), bucket.cost]
        await self._run("settle", [bucket.key for bucket in buckets], arguments)

    async def release(self, slots: Sequence[Slots]) -> None:
        await self._run("release", [slot.key for slot in slots], [slot.holder for slot in slots])

    async def renew(self, slots: Sequence[Slots]) -> None:
        """Lease slots for their `lease` from now on, also those that were lost meanwhile."""
        arguments: list[str | float] = []
        for slot in slots:
            arguments += [slot.holder, slot.lease]
        await self._run("renew", [slot.key for slot in slots], arguments)

    @property
    def gone(self) -> bool:
        """Redis failed, and has not answered since."""
        return self._client.gone

    async def ping(self) -> None:
        await self._client.run(self._client.redis.ping)

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _run(
        self,
        script: str,
        keys: Sequence[str],
        arguments: Sequence[str | float],
        left_behind: Callable[[ThreadCall[Any]], object] | None = None,
    ) -> Any:
        named = [f"{self._prefix}:{key}" for key in keys]
        return await self._client.run(
            lambda: self._scripts[script](keys=named, args=arguments), left_behind=left_behind
        )


_SCRIPTS = {"take": TAKE, "settle": SETTLE, "renew": RENEW, "release": RELEASE}
