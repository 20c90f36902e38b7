"""Cohere's chat, API version 2 (https://docs.cohere.com/reference/chat-stream)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from conformance.facts import JSON, Facts, Usage, arguments_of, finish_of
from conformance.wires.base import ErrorShape, WireFormat
from conformance.wires.events import Event

_FINISH = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "ERROR_LIMIT": "length",
    "TOOL_CALL": "tool_calls",
    "ERROR_TOXIC": "content_filter",
}
_FAILED = ("ERROR", "TIMEOUT")


def _request(model: str, prompt: str, stream: bool) -> dict[str, JSON]:
    return {"model": model, "messages": [{"role": "user", "content": prompt}], "stream": stream}


def facts_of_events(events: Iterable[JSON]) -> Facts:
    """From the events of a stream as data. What the model plans before it calls tools is reasoning."""
    facts = Facts()
    texts: list[str] = []
    reasoning: list[str] = []
    calls: dict[int, list[str]] = {}
    finish: str | None = None
    for event in events:
        if not isinstance(event, dict):
            continue
        delta = event.get("delta") or {}
        message = delta.get("message") or {}
        match event.get("type"):
            case "message-start":
                facts.id = facts.id or event.get("id") or ""
            case "content-start" | "content-delta":
                content = message.get("content") or {}
                texts.append(content.get("text") or "")
                reasoning.append(content.get("thinking") or "")
            case "tool-plan-delta":
                reasoning.append(message.get("tool_plan") or "")
            case "tool-call-start" | "tool-call-delta":
                function = (message.get("tool_calls") or {}).get("function") or {}
                call = calls.setdefault(event.get("index") or 0, ["", "", ""])
                call[2] = call[2] or (message.get("tool_calls") or {}).get("id") or ""
                call[0] += function.get("name") or ""
                call[1] += function.get("arguments") or ""
            case "message-end":
                finish = delta.get("finish_reason") or finish
                facts.usage = _usage(delta.get("usage"))
    facts.text, facts.reasoning = "".join(texts), "".join(reasoning)
    facts.tool_calls = [(name, arguments_of(arguments)) for name, arguments, _ in calls.values()]
    facts.call_ids = [id_ for *_, id_ in calls.values()]
    return _finished(facts, finish)


def _usage(told: JSON) -> Usage:
    """Tokens, not what is billed."""
    counted = (told.get("tokens") or told.get("billed_units") or {}) if isinstance(told, dict) else {}
    given = counted.get("input_tokens"), counted.get("output_tokens")
    cached = told.get("cached_tokens") if isinstance(told, dict) else None
    numbers = [None if number is None else int(number) for number in (*given, cached)]
    return Usage(input=numbers[0], output=numbers[1], cached=numbers[2])


def _finished(facts: Facts, word: str | None) -> Facts:
    facts.finish = finish_of(word, has_calls=bool(facts.tool_calls), words=_FINISH)
    return facts


def _facts_of_stream(events: Sequence[Event]) -> Facts:
    return facts_of_events(event.json() for event in events)


def facts_of_whole(answer: JSON) -> Facts:
    """From a whole answer."""
    facts = Facts()
    message = answer.get("message") if isinstance(answer, dict) else None
    if not isinstance(message, dict):
        return facts
    facts.id = answer.get("id") or ""
    facts.reasoning = message.get("tool_plan") or ""
    for item in message.get("content") or []:
        facts.text += item.get("text") or ""
        facts.reasoning += item.get("thinking") or ""
    for call in message.get("tool_calls") or []:
        function = call.get("function") or {}
        facts.tool_calls.append((function.get("name") or "", arguments_of(function.get("arguments") or "")))
        facts.call_ids.append(call.get("id") or "")
    facts.usage = _usage(answer.get("usage"))
    return _finished(facts, answer.get("finish_reason"))


def _ends(event: Event) -> bool:
    data = event.json()
    if not isinstance(data, dict) or data.get("type") != "message-end":
        return False
    return (data.get("delta") or {}).get("finish_reason") not in _FAILED


def _error_of_event(event: Event) -> ErrorShape | None:
    """A finish reason that says that it failed."""
    data = event.json()
    delta = (data.get("delta") or {}) if isinstance(data, dict) and data.get("type") == "message-end" else {}
    if delta.get("finish_reason") not in _FAILED:
        return None
    return ErrorShape(message=delta.get("error") or "", type=delta["finish_reason"])


def _error_of_body(body: JSON, headers: Mapping[str, str]) -> ErrorShape | None:
    told = body.get("message") if isinstance(body, dict) else None
    return ErrorShape(message=told, type=None) if isinstance(told, str) else None


def _event(kind: str, **more: JSON) -> Event:
    return Event(kind, json.dumps({"type": kind, **more}))


def _synthetic(texts: Sequence[str]) -> list[Event]:
    usage = {"tokens": {"input_tokens": 5, "output_tokens": 7}}
    start = {"message": {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}}
    return [
        _event("message-start", id="triway", delta=start),
        _event("content-start", index=0, delta={"message": {"content": {"type": "text", "text": ""}}}),
        *(_event("content-delta", index=0, delta={"message": {"content": {"text": text}}}) for text in texts),
        _event("content-end", index=0),
        _event("message-end", delta={"finish_reason": "COMPLETE", "usage": usage}),
    ]


WIRE = WireFormat(
    api="cohere-chat",
    short="cohere",
    path=lambda model, stream: "/v2/chat",
    headers={"authorization": "Bearer sk-conformance"},
    request=_request,
    facts_of_stream=_facts_of_stream,
    facts_of_whole=facts_of_whole,
    finishes=_ends,
    terminator=_ends,
    error_of_event=_error_of_event,
    error_of_body=_error_of_body,
    error_types={},
    synthetic=_synthetic,
    error_event=_event("message-end", delta={"finish_reason": "ERROR", "error": "The model failed."}),
    error_body=lambda status, message: {"message": message},
    unknown_event=_event("triway-surprise", index=0, news=["x", 1, None]),
    filler=_event("debug", prompt="x"),
    tells=frozenset({"cached", "call_ids"}),
)
