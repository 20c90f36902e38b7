"""A provider class in process, through the SDK's `execute` and `execute_streaming`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec
import trio

from conformance.answered import Answered, Failure, read_stream, read_whole
from conformance.facts import Facts, Usage, arguments_of, finish_of
from conformance.subjects.base import ASK_SECONDS, Question, Subject, Traits
from conformance.subjects.configs import complete_config
from conformance.subjects.speaker import Speaker
from conformance.wires import WireFormat
from providers.errors import GatewayError, ProviderError
from providers.extension import Config
from providers.model import (
    Accumulator,
    EventKind,
    LLMRequest,
    LLMResponse,
    Message,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    TokenDetails,
    ToolCallPart,
)
from providers.provider import ChunkEmitter, Provider

CLOSE_SECONDS = 5.0


class ProviderSubject(Subject):
    """Two instances of the class: a patient one, and one with short time limits."""

    def __init__(self, speaker: Speaker, patient: Provider, impatient: Provider) -> None:
        self.name = f"provider:{speaker.name}"
        self.wire = self.upstream = speaker.wire
        self.traits = traits_of(speaker, patient.api)
        self._patient, self._impatient = patient, impatient

    async def ask(self, question: Question) -> Answered:
        provider = self._impatient if question.impatient else self._patient
        return await ask_provider(provider, self.wire, question)

    def in_use(self) -> list[str]:
        return [found for provider in (self._patient, self._impatient) for found in slots_of(provider)]


def traits_of(speaker: Speaker, api: str) -> Traits:
    """Of a provider that speaks `api` once it is configured."""
    return Traits(
        lossless=api == speaker.wire.api,
        http=False,
        depth=speaker.depth,
        probed=speaker.depth == "full",
        vendor=speaker.cls.metadata.name,
    )


@asynccontextmanager
async def open_provider(speaker: Speaker, url: str) -> AsyncIterator[ProviderSubject]:
    """A provider pointed at `url`. Raises `SubjectError` if the configuration does not fit the class's schema."""
    cls = speaker.cls
    instances: list[Provider] = []
    try:
        for impatient in (False, True):
            instances.append(await configured(cls, complete_config(cls, url, speaker.config, impatient=impatient)))
        yield ProviderSubject(speaker, *instances)
    finally:
        await close_all(instances)


async def configured(cls: type[Provider], config: Config) -> Provider:
    provider = cls()
    await provider.configure(config)
    return provider


async def close_all(instances: Sequence[Provider]) -> None:
    """Close them, within `CLOSE_SECONDS` also while the run is being cancelled."""
    with trio.CancelScope(deadline=trio.current_time() + CLOSE_SECONDS, shield=True):
        for provider in instances:
            await provider.aclose()


def slots_of(provider: Provider) -> list[str]:
    """Pool slots that a provider holds, if it has a pool that says so."""
    upstream = getattr(provider, "upstream", None)
    used = getattr(upstream, "used_slots", 0)
    waiting = getattr(upstream, "waiting_requests", 0)
    return [f"{used} pool slots"] * bool(used) + [f"{waiting} requests that wait for a slot"] * bool(waiting)


async def ask_provider(provider: Provider, wire: WireFormat, question: Question) -> Answered:
    """One call, read as the gateway would."""
    request = LLMRequest(
        model="m",
        messages=[Message(role="user", content=[TextPart(text=question.prompt)])],
        stream=question.stream,
        include_usage=True,
        max_tokens=100,
    )
    with trio.move_on_after(ASK_SECONDS):
        if not question.stream:
            return await _execute(provider, wire, request)
        return await _stream(provider, wire, request, question)
    return Answered(hung=True, failure=Failure(message=f"no end within {ASK_SECONDS:g} s", shaped=False))


async def _execute(provider: Provider, wire: WireFormat, request: LLMRequest) -> Answered:
    try:
        response = await provider.execute(request)
    except Exception as error:  # noqa: BLE001 - whatever a provider raises is for the checks to judge
        return Answered(failure=failure_of(error, in_band=False))
    # An answer without any choice says nothing, not even how it ended.
    facts = facts_of(response) if response.choices else Facts()
    answered = Answered(facts=facts, terminated=True, decoded=[_decoded(response)])
    if response.raw is not None and response.raw.api == wire.api:
        raw = read_whole(wire, 200, {}, response.raw.body)
        answered.document, answered.raw = raw.document, raw.raw
    return answered


async def _stream(provider: Provider, wire: WireFormat, request: LLMRequest, question: Question) -> Answered:
    emitter = CollectingEmitter(question)
    failure: Failure | None = None
    try:
        result = await provider.execute_streaming(request, emitter)
        if result is not None and not result.success and emitter.error is None:
            failure = Failure(message=result.error or "", status=result.status, in_band=emitter.begun)
    except Exception as error:  # noqa: BLE001 - see above
        failure = failure_of(error, in_band=emitter.begun)
        _keep_raw(error, emitter)
    if emitter.error is not None:
        failure = failure_of(emitter.error, in_band=emitter.begun)
        _keep_raw(emitter.error, emitter)
    answered = read_stream(wire, b"".join(emitter.raw)) if emitter.raw else Answered()
    answered.facts = facts_of(emitter.accumulator.response())
    answered.decoded = emitter.decoded
    answered.failure = failure
    # A provider that makes no final call leaves it to the gateway, once it has returned in good order.
    answered.terminated = failure is None
    answered.breaches = emitter.breaches
    if emitter.finals and failure is not None:
        answered.breaches.append("the final call was made although the stream failed")
        answered.terminated = True
    if emitter.final is not None and facts_of(emitter.final) != answered.facts:
        answered.breaches.append("the final call does not carry the response that its chunks add up to")
    return answered


def _keep_raw(error: Exception, emitter: CollectingEmitter) -> None:
    """The event that reported an error goes on to a client of the same API like any other."""
    if isinstance(error, ProviderError) and error.raw is not None and emitter.begun:
        emitter.raw.append(error.raw.body)


class CollectingEmitter(ChunkEmitter):
    """Takes chunks as the gateway would, and notes what the interface forbids."""

    def __init__(self, question: Question) -> None:
        self.accumulator = Accumulator()
        self.raw: list[bytes] = []
        self.decoded: list[bytes] = []
        self.breaches: list[str] = []
        self.error: GatewayError | None = None
        self.begun = False
        self.finals = 0
        self.final: LLMResponse | None = None
        self._question = question

    async def emit_chunk(self, chunk: LLMResponse, first: bool = False, final: bool = False) -> None:
        question = self._question
        await trio.lowlevel.checkpoint()
        if question.hold is not None:
            await question.hold.wait()
        if self.finals or self.error is not None:
            self.breaches.append("a chunk came after the stream's end")
        if final:
            self.finals += 1
            self.final = chunk
            return
        if first == self.begun:
            self.breaches.append("`first` was not true for the first chunk, or true for a later one")
        self.begun = True
        if chunk.raw is not None:
            self.raw.append(chunk.raw.body)
        if chunk.kind is EventKind.KEEP_ALIVE:
            return
        self.decoded.append(_decoded(chunk))
        # A terminator may carry what a chunk does.
        if chunk.kind is not EventKind.ERROR:
            self.accumulator.add(chunk)
            if question.on_data is not None:
                for choice in chunk.choices:
                    for part in choice.delta.content if choice.delta else ():
                        if isinstance(part, TextPart):
                            question.on_data(part.text.encode())

    async def emit_error(self, error: GatewayError) -> None:
        await trio.lowlevel.checkpoint()
        if self.finals or self.error is not None:
            self.breaches.append("an error came after the stream's end")
        self.error = error


def _decoded(chunk: LLMResponse) -> bytes:
    return msgspec.json.encode(msgspec.structs.replace(chunk, raw=None))


def failure_of(error: Exception, *, in_band: bool) -> Failure:
    if not isinstance(error, GatewayError):
        message = f"{type(error).__name__}, which is no GatewayError: {error}"
        return Failure(message=message, in_band=in_band, shaped=False)
    return Failure(
        message=error.message,
        status=error.status,
        kind=error.kind.value,
        type=error.type if isinstance(error, ProviderError) else None,
        retryable=error.retryable if isinstance(error, ProviderError) else False,
        in_band=in_band,
    )


def _said(part: Part) -> str:
    return part.text if isinstance(part, TextPart | RefusalPart) else ""


def facts_of(response: LLMResponse) -> Facts:
    """What a whole response of the model in the middle says."""
    facts = Facts(id=response.id)
    if response.usage is not None:
        details = response.usage.details or TokenDetails()
        facts.usage = Usage(
            input=response.usage.prompt_tokens,
            output=response.usage.completion_tokens,
            cached=details.cached_tokens,
            reasoning=details.reasoning_tokens,
        )
    others = sorted((choice for choice in response.choices if choice.index), key=lambda choice: choice.index)
    facts.others = [
        choice.message.reasoning + "".join(_said(part) for part in choice.message.content) if choice.message else ""
        for choice in others
    ]
    choice = next((choice for choice in response.choices if choice.index == 0), None)
    told = (choice.logprobs if choice else None) or {}
    facts.logprobs = [entry["token"] for part in ("content", "refusal") for entry in told.get(part) or []]
    for part in choice.message.content if choice and choice.message else ():
        if isinstance(part, TextPart):
            facts.citations += [one.url or one.title or "" for one in part.citations]
        if isinstance(part, RefusalPart):
            facts.refusal += part.text
        if isinstance(part, ReasoningPart | TextPart | ToolCallPart) and part.signature:
            facts.signatures.append(part.signature)
        match part:
            case TextPart() | RefusalPart():
                facts.text += part.text
            case ReasoningPart():
                facts.reasoning += part.text
                facts.redacted += [part.redacted] if part.redacted else []
            case ToolCallPart():
                arguments = {"input": part.arguments} if part.kind == "custom" else arguments_of(part.arguments)
                facts.tool_calls.append((part.name, arguments))
                facts.call_ids.append(part.id)
    facts.finish = finish_of(choice.finish_reason if choice else None, has_calls=bool(facts.tool_calls))
    return facts
