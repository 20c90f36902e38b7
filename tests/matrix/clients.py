"""The columns: official SDKs, each with the client API that it speaks, and how they are asked."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import trio

from conformance.facts import JSON, Facts
from conformance.oracles import oracle_of
from conformance.wires import WIRES, WireFormat
from tests.support import vercel

AT_ONCE = 8
"""Python SDKs asked at a time; node has a bound of its own."""


class Client(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    """As the table's head has it."""
    api: str
    vercel: vercel.Package | None = None
    """The package of the Vercel AI SDK; None: the API's own SDK, in Python."""
    reads_reasoning: bool = True
    """False: it has no place for the reasoning of its API's answers."""

    @property
    def wire(self) -> WireFormat:
        return WIRES[self.api]

    def why_not(self) -> str:
        return vercel.why_not() if self.vercel else ""


CLIENTS = (
    Client(name="openai, Chat", api="openai-chat"),
    Client(name="openai, Responses", api="openai-responses"),
    Client(name="anthropic", api="anthropic-messages"),
    Client(name="google-genai", api="gemini-generate"),
    Client(name="@ai-sdk/openai, Chat", api="openai-chat", vercel="openai", reads_reasoning=False),
    Client(name="@ai-sdk/openai-compatible", api="openai-chat", vercel="openai-compatible"),
    Client(name="@ai-sdk/openai, Responses", api="openai-responses", vercel="openai"),
    Client(name="@ai-sdk/anthropic", api="anthropic-messages", vercel="anthropic"),
    Client(name="@ai-sdk/google", api="gemini-generate", vercel="google"),
)


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    client: Client
    url: str
    """The server's root."""
    model: str
    prompt: str
    stream: bool
    tools: tuple[str, ...] = ()
    """Names of tools that the caller has, for SDKs that drop calls of others."""


class Said(msgspec.Struct, kw_only=True):
    """What a client made of an answer."""

    facts: Facts
    whole: JSON
    """All that it yielded, field for field, less the model's name."""
    error: str = ""


async def ask_all(asks: Sequence[Ask]) -> list[Said]:
    """Each question once; the answers in their order."""
    said: dict[int, Said] = {}
    limit = trio.CapacityLimiter(AT_ONCE)

    async def ask_python(number: int) -> None:
        async with limit:
            said[number] = await _ask_python(asks[number])

    async def ask_node(numbers: list[int]) -> None:
        results = await vercel.ask([_job(asks[number]) for number in numbers])
        said.update(zip(numbers, map(_of_node, results), strict=True))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask_node, [number for number, ask in enumerate(asks) if ask.client.vercel])
        for number, ask in enumerate(asks):
            if not ask.client.vercel:
                nursery.start_soon(ask_python, number)
    return [said[number] for number in range(len(asks))]


async def _ask_python(ask: Ask) -> Said:
    oracle = oracle_of(ask.client.api)
    assert oracle is not None
    reading = await oracle(ask.url, ask.model, ask.prompt, ask.stream)
    return Said(facts=reading.facts, whole=reading.items, error=": ".join(reading.error[:2]) if reading.error else "")


def _job(ask: Ask) -> vercel.Job:
    assert ask.client.vercel is not None
    return vercel.Job(
        sdk=ask.client.vercel,
        api=ask.client.api,
        base_url=ask.url,
        model=ask.model,
        stream=ask.stream,
        prompt=ask.prompt,
        tools=ask.tools,
    )


def _of_node(result: vercel.Result) -> Said:
    error = f"{result.error['name']}: {result.error['message']}" if result.error else ""
    return Said(facts=result.facts(), whole=msgspec.to_builtins(result), error=error)
