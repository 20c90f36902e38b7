"""The official SDKs as oracles: what they make of an answer, as plain data. They are the extra `conformance`."""

from __future__ import annotations

import functools
import ssl
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec

from conformance.answered import without_model
from conformance.facts import JSON, Facts
from conformance.wires.anthropic_messages import facts_of_events
from conformance.wires.anthropic_messages import facts_of_whole as facts_of_message
from conformance.wires.openai_chat import facts_of_chunks
from conformance.wires.openai_chat import facts_of_whole as facts_of_completion

if TYPE_CHECKING:
    import anthropic
    import openai


class Reading(msgspec.Struct, kw_only=True):
    """What an SDK made of one answer."""

    items: list[JSON] = []
    """Each chunk or event that it yielded, or the one answer, less the model's name."""
    error: tuple[str, ...] | None = None
    """What it raised: class, message, body."""
    status: int | None = None
    facts: Facts = msgspec.field(default_factory=Facts)


class MissingSDKError(Exception):
    """An official SDK is not installed."""


@functools.cache
def _context() -> ssl.SSLContext:
    # Made once: each client would read all of the system's certificates again.
    return ssl.create_default_context()


def _described(error: Exception) -> tuple[str, ...]:
    body = getattr(error, "body", None)
    return type(error).__name__, str(getattr(error, "message", error)), repr(without_model(body))


def _missing(name: str) -> MissingSDKError:
    return MissingSDKError(f"the official SDK '{name}' is not installed: pip install 'triway[conformance]'")


def _openai(base_url: str) -> openai.AsyncOpenAI:
    try:
        import openai
    except ImportError as error:
        raise _missing("openai") from error
    client = openai.DefaultAsyncHttpxClient(verify=_context(), trust_env=False)
    return openai.AsyncOpenAI(api_key="sk-sdk", base_url=f"{base_url}/v1", max_retries=0, http_client=client)


def _anthropic(base_url: str) -> anthropic.AsyncAnthropic:
    try:
        import anthropic
    except ImportError as error:
        raise _missing("anthropic") from error
    client = anthropic.DefaultAsyncHttpxClient(verify=_context(), trust_env=False)
    return anthropic.AsyncAnthropic(api_key="sk-sdk", base_url=base_url, max_retries=0, http_client=client)


async def _read_openai(base_url: str, model: str, prompt: str, stream: bool) -> Reading:
    reading = Reading()
    async with _openai(base_url) as client:
        try:
            if stream:
                chunks = await client.chat.completions.create(
                    model=model,
                    messages=[{"role": "user", "content": prompt}],
                    stream=True,
                    stream_options={"include_usage": True},
                )
                async for chunk in chunks:
                    reading.items.append(without_model(chunk.model_dump(warnings=False)))
            else:
                whole = await client.chat.completions.create(
                    model=model, messages=[{"role": "user", "content": prompt}]
                )
                reading.items.append(without_model(whole.model_dump(warnings=False)))
        except Exception as error:  # noqa: BLE001 - an SDK lets errors of its HTTP library and of JSON through
            reading.error = _described(error)
            reading.status = getattr(error, "status_code", None)
    items = [item for item in reading.items if isinstance(item, dict)]
    reading.facts = facts_of_chunks(items) if stream else facts_of_completion(items[0] if items else None)
    return reading


async def _read_anthropic(base_url: str, model: str, prompt: str, stream: bool) -> Reading:
    reading = Reading()
    async with _anthropic(base_url) as client:
        try:
            if stream:
                events = await client.messages.create(
                    model=model, max_tokens=100, messages=[{"role": "user", "content": prompt}], stream=True
                )
                async for event in events:
                    reading.items.append(without_model(event.model_dump(warnings=False)))
            else:
                whole = await client.messages.create(
                    model=model, max_tokens=100, messages=[{"role": "user", "content": prompt}]
                )
                reading.items.append(without_model(whole.model_dump(warnings=False)))
        except Exception as error:  # noqa: BLE001 - see above
            reading.error = _described(error)
            reading.status = getattr(error, "status_code", None)
    items = [item for item in reading.items if isinstance(item, dict)]
    reading.facts = facts_of_events(items) if stream else facts_of_message(items[0] if items else None)
    return reading


SDKS: dict[str, Callable[[str, str, str, bool], Awaitable[Reading]]] = {
    "openai-chat": _read_openai,
    "anthropic-messages": _read_anthropic,
}
"""By API: `(base URL, model, prompt, stream)` to a reading. Each raises `MissingSDKError`; all else is in the reading.
Cancellation goes through."""
