"""botocore's reading of Converse. It blocks, so it is called in a thread."""

from __future__ import annotations

import base64
import functools
import threading
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from conformance.facts import JSON
from conformance.oracles.base import MissingSDKError, Reading, in_thread
from conformance.wires.bedrock_converse import facts_of_events, facts_of_whole

_MAKING = threading.Lock()
"""A session is not made for several threads."""


@functools.cache
def _session() -> Any:
    """Kept, because it holds the service's model, which takes long to read."""
    try:
        import botocore.session
    except ImportError as error:
        raise MissingSDKError("botocore") from error
    session = botocore.session.Session()
    session.set_credentials("AKIDCONFORMANCE", "sk-sdk")
    return session


def _client(base_url: str) -> Any:
    session = _session()
    from botocore.config import Config

    config = Config(retries={"total_max_attempts": 1}, proxies={})
    with _MAKING:
        return session.create_client(
            "bedrock-runtime", region_name="us-east-1", endpoint_url=base_url, verify=False, config=config
        )


async def read(base_url: str, model: str, prompt: str, stream: bool, headers: Mapping[str, str] = {}) -> Reading:
    return await in_thread(lambda: _read(base_url, model, prompt, stream, headers))


def _read(base_url: str, model: str, prompt: str, stream: bool, headers: Mapping[str, str]) -> Reading:
    reading = Reading()
    client = _client(base_url)
    client.meta.events.register("before-send", lambda request, **_: request.headers.update(headers))
    messages = [{"role": "user", "content": [{"text": prompt}]}]
    try:
        if stream:
            answer = client.converse_stream(modelId=model, messages=messages)
            with closing(answer["stream"]) as events:
                for event in events:
                    reading.items.append(_plain(event))
        else:
            answer = client.converse(modelId=model, messages=messages)
            del answer["ResponseMetadata"]
            reading.items.append(_plain(answer))
    except Exception as error:  # noqa: BLE001 - see Reading.fail
        reading.fail(error)
        response = getattr(error, "response", None) or {}
        reading.status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    finally:
        client.close()
    items = [item for item in reading.items if isinstance(item, dict)]
    if stream:
        reading.read(lambda: facts_of_events(next(iter(item.items())) for item in items if item))
    else:
        reading.read(lambda: facts_of_whole(items[0] if items else None))
    return reading


def _plain(data: Any) -> JSON:
    """As JSON has it: blobs are base64."""
    if isinstance(data, dict):
        return {key: _plain(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_plain(item) for item in data]
    return base64.b64encode(data).decode() if isinstance(data, bytes) else data
