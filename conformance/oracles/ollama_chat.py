"""The Ollama client's reading of /api/chat."""

from __future__ import annotations

from collections.abc import Mapping

from conformance.answered import without_model
from conformance.oracles.base import MissingSDKError, Reading, sends_async, tls_context
from conformance.wires.ollama_chat import facts_of_answers


async def read(base_url: str, model: str, prompt: str, stream: bool, headers: Mapping[str, str] = {}) -> Reading:
    try:
        import ollama
    except ImportError as error:
        raise MissingSDKError("ollama") from error
    reading = Reading()
    messages = [{"role": "user", "content": prompt}]
    hooks = {"request": [sends_async(headers)]}
    client = ollama.AsyncClient(host=base_url, verify=tls_context(), trust_env=False, event_hooks=hooks)
    try:
        if stream:
            async for answer in await client.chat(model=model, messages=messages, stream=True):
                reading.items.append(without_model(answer.model_dump(warnings=False)))
        else:
            whole = await client.chat(model=model, messages=messages)
            reading.items.append(without_model(whole.model_dump(warnings=False)))
    except Exception as error:  # noqa: BLE001 - see Reading.fail
        reading.fail(error)
    finally:
        await client.close()  # type: ignore[no-untyped-call]
    reading.read(lambda: facts_of_answers(reading.items))
    return reading
