"""Anthropic Messages (https://docs.anthropic.com/en/api/messages, .../messages-streaming)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from conformance.facts import JSON, Facts, Usage, arguments_of, count_of, finish_of, source_of
from conformance.wires.base import ErrorShape, WireFormat
from conformance.wires.events import Event

_INPUT = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


def _request(model: str, prompt: str, stream: bool) -> dict[str, JSON]:
    body: dict[str, JSON] = {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": prompt}]}
    return {**body, "stream": True} if stream else body


def facts_of_events(events: Iterable[JSON]) -> Facts:
    """From the events of a stream as data. Several messages in one body are read as one answer."""
    facts = Facts()
    message = 0
    usage: dict[str, int] = {}
    calls: dict[tuple[int, int], list[str]] = {}
    ids: list[str] = []
    texts: list[str] = []
    reasoning: list[str] = []
    finish: str | None = None
    for event in events:
        kind = event.get("type") if isinstance(event, dict) else None
        if kind == "message_start":
            message += 1
            _take_usage(usage, event["message"].get("usage"))
            facts.id = facts.id or event["message"].get("id") or ""
        elif kind == "content_block_start":
            block = event["content_block"]
            match block["type"]:
                case "tool_use":
                    start = json.dumps(block["input"]) if block.get("input") else ""
                    calls[message, event["index"]] = [block["name"], start]
                    ids.append(block.get("id") or "")
                case "redacted_thinking":
                    facts.redacted.append(block["data"])
                case "text":
                    texts.append(block["text"])
                    _take_citations(facts, block)
                case "thinking":
                    reasoning.append(block.get("thinking") or "")
        elif kind == "content_block_delta":
            delta = event["delta"]
            match delta["type"]:
                case "text_delta":
                    texts.append(delta["text"])
                case "thinking_delta":
                    reasoning.append(delta["thinking"])
                case "signature_delta":
                    facts.signatures += [delta["signature"]] if delta["signature"] else []
                case "citations_delta":
                    facts.citations.append(_source(delta["citation"]))
                case "input_json_delta" if (message, event["index"]) in calls:
                    calls[message, event["index"]][1] += delta["partial_json"]
        elif kind == "message_delta":
            finish = event["delta"].get("stop_reason") or finish
            _take_usage(usage, event.get("usage"))
    facts.text, facts.reasoning = "".join(texts), "".join(reasoning)
    facts.tool_calls = [(name, arguments_of(arguments)) for name, arguments in calls.values()]
    facts.call_ids = ids
    facts.finish = finish_of(finish, has_calls=bool(facts.tool_calls))
    facts.usage = _usage_of(usage)
    return facts


def _facts_of_stream(events: Sequence[Event]) -> Facts:
    return facts_of_events(event.json() for event in events)


def facts_of_whole(answer: JSON) -> Facts:
    """From a whole message."""
    facts = Facts()
    if not isinstance(answer, dict) or not isinstance(answer.get("content"), list):
        return facts
    facts.id = answer.get("id") or ""
    for block in answer["content"]:
        match block["type"]:
            case "text":
                facts.text += block["text"]
                _take_citations(facts, block)
            case "thinking":
                facts.reasoning += block["thinking"]
                facts.signatures += [block["signature"]] if block.get("signature") else []
            case "redacted_thinking":
                facts.redacted.append(block["data"])
            case "tool_use":
                facts.tool_calls.append((block["name"], block["input"]))
                facts.call_ids.append(block.get("id") or "")
    facts.finish = finish_of(answer.get("stop_reason"), has_calls=bool(facts.tool_calls))
    usage: dict[str, int] = {}
    _take_usage(usage, answer.get("usage"))
    facts.usage = _usage_of(usage)
    return facts


def _take_citations(facts: Facts, block: dict[str, JSON]) -> None:
    facts.citations += [_source(citation) for citation in block.get("citations") or []]


def _source(citation: dict[str, JSON]) -> str:
    return source_of(citation, "title", "document_title")


def _take_usage(usage: dict[str, int], reported: dict[str, JSON] | None) -> None:
    thought = count_of((reported or {}).get("output_tokens_details"), "thinking_tokens")
    if thought is not None:
        usage["thinking_tokens"] = thought
    for name in (*_INPUT, "output_tokens"):
        if reported and reported.get(name) is not None:
            usage[name] = reported[name]


def _usage_of(usage: dict[str, int]) -> Usage:
    told = [usage[name] for name in _INPUT if name in usage]
    return Usage(
        input=sum(told) if told else None,
        output=usage.get("output_tokens"),
        cached=usage.get("cache_read_input_tokens"),
        reasoning=usage.get("thinking_tokens"),
    )


def _type_of(event: Event) -> str | None:
    """The type in the data, of an event that has no name (some vendors leave it out)."""
    data = None if event.name else event.json()
    return data.get("type") if isinstance(data, dict) else None


def _error_of_event(event: Event) -> ErrorShape | None:
    return _error_of_body(event.json(), {})


def _error_of_body(body: JSON, headers: Mapping[str, str]) -> ErrorShape | None:
    if not isinstance(body, dict) or body.get("type") != "error":
        return None
    error = body.get("error")
    if not isinstance(error, dict) or not isinstance(error.get("message"), str):
        return None
    kind = error.get("type")
    return ErrorShape(message=error["message"], type=kind if isinstance(kind, str) else None)


def _finishes(event: Event) -> bool:
    data = event.json()
    if not isinstance(data, dict):
        return False
    told = data.get("delta"), data.get("message")
    return _is_stop(event) or any(isinstance(part, dict) and part.get("stop_reason") for part in told)


def _is_stop(event: Event) -> bool:
    return event.name == "message_stop" or _type_of(event) == "message_stop"


def _error_body(status: int, message: str) -> JSON:
    kind = "timeout_error" if status == 408 else _ERROR_TYPES.get(status, "api_error")
    error = {"type": kind, "message": message}
    return {"type": "error", "error": error, "request_id": "req_triway_replay"}


def _event(kind: str, **more: JSON) -> Event:
    return Event(kind, json.dumps({"type": kind, **more}))


def _synthetic(texts: Sequence[str]) -> list[Event]:
    start: dict[str, JSON] = {
        "id": "msg_triway",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 5, "output_tokens": 1},
    }
    return [
        _event("message_start", message=start),
        _event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        *(_event("content_block_delta", index=0, delta={"type": "text_delta", "text": text}) for text in texts),
        _event("content_block_stop", index=0),
        _event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": 7}),
        _event("message_stop"),
    ]


_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}
"""https://docs.anthropic.com/en/api/errors"""

WIRE = WireFormat(
    api="anthropic-messages",
    short="anthropic",
    path=lambda model, stream: "/v1/messages",
    headers={"x-api-key": "sk-conformance", "anthropic-version": "2023-06-01"},
    request=_request,
    facts_of_stream=_facts_of_stream,
    facts_of_whole=facts_of_whole,
    finishes=_finishes,
    terminator=_is_stop,
    is_noise=lambda event: event.name == "ping" or _type_of(event) == "ping",
    error_of_event=_error_of_event,
    error_of_body=_error_of_body,
    error_types=_ERROR_TYPES,
    synthetic=_synthetic,
    error_event=_event("error", error={"type": "overloaded_error", "message": "Overloaded"}),
    error_body=_error_body,
    unknown_event=_event("triway_surprise", index=0, news=["x", 1, None]),
    filler=_event("ping"),
    ping=_event("ping"),
    signs_reasoning=True,
    tells=frozenset({"citations", "cached", "reasoning", "call_ids"}),
    signatures_travel=True,
)
