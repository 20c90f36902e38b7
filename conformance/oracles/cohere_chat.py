"""The Cohere SDK's reading of its chat, version 2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from conformance.answered import without_model
from conformance.oracles.base import MissingSDKError, Reading, sends_async, tls_context
from conformance.wires.cohere_chat import facts_of_events, facts_of_whole


async def read(base_url: str, model: str, prompt: str, stream: bool, headers: Mapping[str, str] = {}) -> Reading:
    try:
        import cohere
        import httpx
    except ImportError as error:
        raise MissingSDKError("cohere") from error
    reading = Reading()
    hooks = {"request": [sends_async(headers)]}
    async with httpx.AsyncClient(verify=tls_context(), trust_env=False, timeout=60, event_hooks=hooks) as http:
        client = cohere.AsyncClientV2(api_key="sk-sdk", base_url=base_url, httpx_client=http)
        messages: Any = [{"role": "user", "content": prompt}]
        once: Any = {"max_retries": 0}
        try:
            if stream:
                async for event in client.chat_stream(model=model, messages=messages, request_options=once):
                    reading.items.append(without_model(_plain(event)))
            else:
                whole = await client.chat(model=model, messages=messages, request_options=once)
                reading.items.append(without_model(_plain(whole)))
        except Exception as error:  # noqa: BLE001 - see Reading.fail
            reading.fail(error)
    items = [item for item in reading.items if isinstance(item, dict)]
    reading.read(lambda: facts_of_events(items) if stream else facts_of_whole(items[0] if items else None))
    return reading


def _plain(data: Any) -> Any:
    return data.model_dump(warnings=False)
