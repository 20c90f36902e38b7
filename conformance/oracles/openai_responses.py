"""The OpenAI SDK's reading of Responses."""

from __future__ import annotations

from collections.abc import Mapping

from conformance.answered import without_model
from conformance.oracles.base import Reading
from conformance.oracles.openai_chat import client_of
from conformance.wires.openai_responses import facts_of_events, facts_of_whole


async def read(base_url: str, model: str, prompt: str, stream: bool, headers: Mapping[str, str] = {}) -> Reading:
    reading = Reading()
    async with client_of(base_url, headers) as client:
        try:
            if stream:
                events = await client.responses.create(
                    model=model, input=[{"role": "user", "content": prompt}], stream=True
                )
                async for event in events:
                    reading.items.append(without_model(event.model_dump(warnings=False)))
            else:
                whole = await client.responses.create(model=model, input=[{"role": "user", "content": prompt}])
                reading.items.append(without_model(whole.model_dump(warnings=False)))
        except Exception as error:  # noqa: BLE001 - see Reading.fail
            reading.fail(error)
    items = [item for item in reading.items if isinstance(item, dict)]
    reading.read(lambda: facts_of_events(items) if stream else facts_of_whole(items[0] if items else None))
    return reading
