"""google-genai's reading of generateContent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from conformance.answered import without_model
from conformance.oracles.base import MissingSDKError, Reading, in_thread, sends, tls_context
from conformance.wires.gemini_generate import facts_of_answers


async def read(base_url: str, model: str, prompt: str, stream: bool, headers: Mapping[str, str] = {}) -> Reading:
    """The SDK has no trio: its blocking client is asked in a thread."""
    return await in_thread(lambda: _read(base_url, model, prompt, headers, stream=stream))


def _read(base_url: str, model: str, prompt: str, headers: Mapping[str, str], *, stream: bool) -> Reading:
    try:
        import httpx
        from google import genai
        from google.genai import types
    except ImportError as error:
        raise MissingSDKError("google-genai") from error
    reading = Reading()
    hooks = {"request": [sends(headers)]}
    with httpx.Client(verify=tls_context(), trust_env=False, timeout=60, event_hooks=hooks) as http:
        # Of contexts that it is not given the SDK makes its own, three for each client.
        tls = {"verify": tls_context()}
        options = types.HttpOptions(
            base_url=base_url,
            api_version="v1beta",
            httpx_client=http,
            client_args=tls,
            async_client_args={**tls, "ssl": tls_context()},
        )
        client = genai.Client(api_key="sdk", http_options=options)
        try:
            if stream:
                for chunk in client.models.generate_content_stream(model=model, contents=prompt):
                    reading.items.append(_plain(chunk))
            else:
                reading.items.append(_plain(client.models.generate_content(model=model, contents=prompt)))
        except Exception as error:  # noqa: BLE001 - see Reading.fail
            reading.fail(error)
            code = getattr(error, "code", None)
            reading.status = code if isinstance(code, int) else None
    reading.read(lambda: facts_of_answers(reading.items))
    return reading


def _plain(answer: Any) -> Any:
    """As the wire spells it, without what the SDK knows of the response's head."""
    dumped = answer.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"sdk_http_response"})
    return without_model(dumped)
