"""The Anthropic SDK's reading of Messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from conformance.answered import without_model
from conformance.oracles.base import MissingSDKError, Reading, sends_async, tls_context
from conformance.wires.anthropic_messages import facts_of_events, facts_of_whole

if TYPE_CHECKING:
    import anthropic


def _client(base_url: str, headers: Mapping[str, str]) -> anthropic.AsyncAnthropic:
    try:
        import anthropic
    except ImportError as error:
        raise MissingSDKError("anthropic") from error
    hooks = {"request": [sends_async(headers)]}
    client = anthropic.DefaultAsyncHttpxClient(verify=tls_context(), trust_env=False, event_hooks=hooks)
    return anthropic.AsyncAnthropic(api_key="sk-sdk", base_url=base_url, max_retries=0, http_client=client)


async def read(base_url: str, model: str, prompt: str, stream: bool, headers: Mapping[str, str] = {}) -> Reading:
    reading = Reading()
    async with _client(base_url, headers) as client:
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
        except Exception as error:  # noqa: BLE001 - see Reading.fail
            reading.fail(error)
    items = [item for item in reading.items if isinstance(item, dict)]
    reading.read(lambda: facts_of_events(items) if stream else facts_of_whole(items[0] if items else None))
    return reading
