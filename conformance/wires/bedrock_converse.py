"""Bedrock Converse and ConverseStream
(https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html)."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote

from conformance.facts import FINISH, JSON, Facts, Usage, arguments_of, finish_of
from conformance.wires.base import ErrorShape, WireFormat
from conformance.wires.events import Event
from conformance.wires.framings import AMAZON

_INPUT = ("inputTokens", "cacheReadInputTokens", "cacheWriteInputTokens")
_FINISH = {
    **FINISH,
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "malformed_model_output": "length",
    "malformed_tool_use": "length",
}
_ERROR_TYPES = {
    400: "ValidationException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}


def _path(model: str, stream: bool) -> str:
    return f"/model/{quote(model, safe='')}/converse{'-stream' if stream else ''}"


def _request(model: str, prompt: str, stream: bool) -> dict[str, JSON]:
    return {"messages": [{"role": "user", "content": [{"text": prompt}]}]}


def facts_of_events(events: Iterable[tuple[str, JSON]]) -> Facts:
    """From the events of a stream: their types, and what they hold. Blobs are base64."""
    facts = Facts()
    texts: list[str] = []
    reasoning: list[str] = []
    calls: dict[int, list[str]] = {}
    finish: str | None = None
    for name, data in events:
        if not isinstance(data, dict):
            continue
        index = data.get("contentBlockIndex") or 0
        match name:
            case "contentBlockStart":
                call = (data.get("start") or {}).get("toolUse")
                if call and call.get("type") != "server_tool_use":
                    calls[index] = [call.get("name") or "", ""]
                    facts.call_ids.append(call.get("toolUseId") or "")
            case "contentBlockDelta":
                delta = data.get("delta") or {}
                texts.append(delta.get("text") or "")
                reasoning.append(_take_reasoning(facts, delta.get("reasoningContent") or {}))
                pieces = (delta.get("toolUse") or {}).get("input")
                if index in calls and isinstance(pieces, str):
                    calls[index][1] += pieces
            case "messageStop":
                finish = data.get("stopReason") or finish
            case "metadata":
                facts.usage = _usage(data.get("usage"))
    facts.text, facts.reasoning = "".join(texts), "".join(reasoning)
    facts.tool_calls = [(name, arguments_of(arguments)) for name, arguments in calls.values()]
    return _finished(facts, finish)


def _take_reasoning(facts: Facts, reasoning: dict[str, JSON]) -> str:
    if reasoning.get("signature"):
        facts.signatures.append(reasoning["signature"])
    if reasoning.get("redactedContent"):
        facts.redacted.append(_redacted(reasoning["redactedContent"]))
    return reasoning.get("text") or ""


def _redacted(blob: str) -> str:
    """What is encrypted. Anthropic's own API writes it without the second layer of base64, where it is text."""
    try:
        return base64.b64decode(blob, validate=True).decode("ascii")
    except ValueError:
        return blob


def _usage(told: JSON) -> Usage:
    if not isinstance(told, dict):
        return Usage()
    inputs = [told[name] for name in _INPUT if told.get(name) is not None]
    cached = told.get("cacheReadInputTokens")
    return Usage(input=sum(inputs) if inputs else None, output=told.get("outputTokens"), cached=cached)


def _finished(facts: Facts, word: str | None) -> Facts:
    facts.finish = finish_of(word, has_calls=bool(facts.tool_calls), words=_FINISH)
    return facts


def _facts_of_stream(events: Sequence[Event]) -> Facts:
    return facts_of_events((event.name, event.json()) for event in events if not event.exception)


def facts_of_whole(answer: JSON) -> Facts:
    """From a whole answer."""
    facts = Facts()
    message = (answer.get("output") or {}).get("message") if isinstance(answer, dict) else None
    if not isinstance(message, dict):
        return facts
    for block in message.get("content") or []:
        facts.text += block.get("text") or ""
        for piece in (block.get("citationsContent") or {}).get("content") or []:
            facts.text += piece.get("text") or ""
        reasoning = block.get("reasoningContent") or {}
        facts.reasoning += _take_reasoning(facts, reasoning.get("reasoningText") or reasoning)
        call = block.get("toolUse")
        if call and call.get("type") != "server_tool_use":
            facts.tool_calls.append((call["name"], call["input"]))
            facts.call_ids.append(call.get("toolUseId") or "")
    facts.usage = _usage(answer.get("usage"))
    return _finished(facts, answer.get("stopReason"))


def _error_of_event(event: Event) -> ErrorShape | None:
    if not event.exception:
        return None
    data = event.json()
    told = data.get("message") if isinstance(data, dict) else None
    return ErrorShape(message=told if isinstance(told, str) else "", type=event.name)


def _error_of_body(body: JSON, headers: Mapping[str, str]) -> ErrorShape | None:
    told = body.get("message") if isinstance(body, dict) else None
    if not isinstance(told, str):
        return None
    return ErrorShape(message=told, type=headers.get("x-amzn-errortype", "").partition(":")[0] or None)


def _error_headers(status: int) -> dict[str, str]:
    kind = _ERROR_TYPES.get(status)
    return {"x-amzn-errortype": f"{kind}:http://internal.amazon.com/coral/com.amazon.bedrock/"} if kind else {}


def _event(name: str, **data: JSON) -> Event:
    return Event(name, json.dumps(data))


def _synthetic(texts: Sequence[str]) -> list[Event]:
    usage = {"inputTokens": 5, "outputTokens": 7, "totalTokens": 12}
    return [
        _event("messageStart", role="assistant"),
        *(_event("contentBlockDelta", contentBlockIndex=0, delta={"text": text}) for text in texts),
        _event("contentBlockStop", contentBlockIndex=0),
        _event("messageStop", stopReason="end_turn"),
        _event("metadata", usage=usage, metrics={"latencyMs": 1}),
    ]


WIRE = WireFormat(
    api="bedrock-converse",
    short="bedrock",
    framing=AMAZON,
    path=_path,
    headers={"authorization": "Bearer sk-conformance"},
    request=_request,
    facts_of_stream=_facts_of_stream,
    facts_of_whole=facts_of_whole,
    finishes=lambda event: event.name == "messageStop",
    # The finish comes earlier; until here the usage may still be missing.
    terminator=lambda event: event.name == "metadata",
    error_of_event=_error_of_event,
    error_of_body=_error_of_body,
    error_types=_ERROR_TYPES,
    synthetic=_synthetic,
    error_event=Event("internalServerException", '{"message": "The service failed."}', exception=True),
    error_body=lambda status, message: {"message": message},
    error_headers=_error_headers,
    unknown_event=_event("triwaySurprise", contentBlockIndex=0, news=["x", 1, None]),
    filler=_event("triwaySurprise", p="abc"),
    signatures_travel=True,
    tells=frozenset({"cached", "call_ids"}),
)
