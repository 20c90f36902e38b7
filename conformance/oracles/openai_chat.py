"""The OpenAI SDK's reading of Chat Completions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from conformance.answered import without_model
from conformance.oracles.base import MissingSDKError, Reading, sends_async, tls_context
from conformance.wires.openai_chat import facts_of_chunks, facts_of_whole

if TYPE_CHECKING:
    import openai


def client_of(base_url: str, headers: Mapping[str, str]) -> openai.AsyncOpenAI:
    """A client that tries once. Raises `MissingSDKError`."""
    try:
        import openai
    except ImportError as error:
        raise MissingSDKError("openai") from error
    hooks = {"request": [sends_async(headers)]}
    client = openai.DefaultAsyncHttpxClient(verify=tls_context(), trust_env=False, event_hooks=hooks)
    return openai.AsyncOpenAI(api_key="sk-sdk", base_url=f"{base_url}/v1", max_retries=0, http_client=client)


async def read(base_url: str, model: str, prompt: str, stream: bool, headers: Mapping[str, str] = {}) -> Reading:
    reading = Reading()
    async with client_of(base_url, headers) as client:
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
        except Exception as error:  # noqa: BLE001 - see Reading.fail
            reading.fail(error)
    items = [item for item in reading.items if isinstance(item, dict)]
    reading.read(lambda: facts_of_chunks(items) if stream else facts_of_whole(items[0] if items else None))
    return reading
