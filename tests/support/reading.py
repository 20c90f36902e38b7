"""What an official SDK makes of an answer, as plain data that can be compared."""

from __future__ import annotations

from typing import Any

import anthropic
import openai

from tests.support.gateway import HI

Reading = list[Any]


def without_model(data: Any) -> Any:
    """The data less the name of the model, which routing may change."""
    if isinstance(data, dict):
        return {key: without_model(value) for key, value in data.items() if key != "model"}
    if isinstance(data, list):
        return [without_model(item) for item in data]
    return data


def described(error: Exception) -> tuple[str, ...]:
    """An SDK error by its class, message and body."""
    body = getattr(error, "body", None)
    return (type(error).__name__, str(getattr(error, "message", error)), repr(without_model(body)))


async def read_openai_stream(client: openai.AsyncOpenAI, model: str = "m", **options: Any) -> Reading:
    """Every chunk that the OpenAI SDK yields; last, the error it raised, if any."""
    reading: Reading = []
    try:
        stream = await client.chat.completions.create(
            model=model, messages=HI, stream=True, stream_options={"include_usage": True}, **options
        )
        async for chunk in stream:
            reading.append(without_model(chunk.model_dump(warnings=False)))
    except openai.APIError as error:
        reading.append(described(error))
    return reading


async def read_anthropic_stream(client: anthropic.AsyncAnthropic, model: str = "m", **options: Any) -> Reading:
    """Every event that the Anthropic SDK yields; last, the error it raised, if any."""
    reading: Reading = []
    try:
        stream = await client.messages.create(model=model, max_tokens=100, messages=HI, stream=True, **options)
        async for event in stream:
            reading.append(without_model(event.model_dump(warnings=False)))
    except anthropic.APIError as error:
        reading.append(described(error))
    return reading


async def read_openai(client: openai.AsyncOpenAI, model: str = "m") -> Any:
    try:
        return without_model(
            (await client.chat.completions.create(model=model, messages=HI)).model_dump(warnings=False)
        )
    except openai.APIError as error:
        return described(error)


async def read_anthropic(client: anthropic.AsyncAnthropic, model: str = "m") -> Any:
    try:
        message = await client.messages.create(model=model, max_tokens=100, messages=HI)
        return without_model(message.model_dump(warnings=False))
    except anthropic.APIError as error:
        return described(error)


async def read_responses_stream(client: openai.AsyncOpenAI, model: str = "m", **options: Any) -> Reading:
    """Every event that the OpenAI SDK yields for a response; last, the error it raised, if any."""
    reading: Reading = []
    try:
        stream = await client.responses.create(model=model, input=HI, stream=True, **options)
        async for event in stream:
            reading.append(without_model(event.model_dump(warnings=False)))
    except openai.APIError as error:
        reading.append(described(error))
    return reading


async def read_final_response(client: openai.AsyncOpenAI, model: str = "m", **options: Any) -> Any:
    """The response that the SDK's accumulator builds from a stream, or the error it raised."""
    try:
        async with client.responses.stream(model=model, input=HI, **options) as stream:
            response = await stream.get_final_response()
            return without_model(response.model_dump(warnings=False))
    except openai.APIError as error:
        return described(error)
    except RuntimeError as error:  # the accumulator's own: no `response.completed`
        return described(error)


async def read_response(client: openai.AsyncOpenAI, model: str = "m") -> Any:
    try:
        return without_model((await client.responses.create(model=model, input=HI)).model_dump(warnings=False))
    except openai.APIError as error:
        return described(error)
