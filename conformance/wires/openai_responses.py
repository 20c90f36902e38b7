"""OpenAI Responses, as the reference and its vendors have it (https://platform.openai.com/docs/api-reference/responses).

One body may hold several answers: a `response.created` begins the next one. The free text of a custom tool's call is
read as `{"input": text}`, which is how APIs without such tools say it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from conformance.facts import JSON, Facts, Usage, arguments_of, count_of, finish_of, source_of
from conformance.wires.base import ErrorShape, WireFormat
from conformance.wires.events import Event

_ENDS = ("response.completed", "response.incomplete")
_TEXTS = ("response.output_text.delta", "response.refusal.delta")
_THOUGHTS = ("response.reasoning_summary_text.delta", "response.reasoning_text.delta")
_ARGUMENTS = ("response.function_call_arguments.delta", "response.custom_tool_call_input.delta")
_CALLS = ("function_call", "custom_tool_call")
_REASONS = {"max_output_tokens": "length", "max_messages": "length", "steered": "length"}


def _request(model: str, prompt: str, stream: bool) -> dict[str, JSON]:
    return {"model": model, "input": [{"role": "user", "content": prompt}], "stream": stream}


def facts_of_events(events: Iterable[JSON]) -> Facts:
    """From the events of a stream as data: contents from the deltas, the rest from the last answer's end."""
    facts = Facts()
    texts: list[str] = []
    reasoning: list[str] = []
    calls: dict[tuple[int, int], tuple[str, list[str]]] = {}
    ids: dict[tuple[int, int], str] = {}
    custom: set[tuple[int, int]] = set()
    answers = 0
    for event in events:
        if not isinstance(event, dict):
            continue
        kind = event.get("type")
        place = (answers, event.get("output_index") or 0)
        if kind == "response.created":
            answers += 1
            facts.id = facts.id or (event.get("response") or {}).get("id") or ""
        elif kind in _TEXTS:
            texts.append(event.get("delta") or "")
            facts.refusal += texts[-1] if "refusal" in kind else ""
            facts.logprobs += _tokens(event)
        elif kind == "response.output_text.annotation.added":
            facts.citations.append(_source(event.get("annotation")))
        elif kind in _THOUGHTS:
            reasoning.append(event.get("delta") or "")
        elif kind in _ARGUMENTS and place in calls:
            calls[place][1].append(event.get("delta") or "")
        elif kind == "response.output_item.added" and _type_of(event.get("item")) in _CALLS:
            calls[place] = (event["item"].get("name") or "", [])
            ids[place] = event["item"].get("call_id") or ""
            if event["item"]["type"] == "custom_tool_call":
                custom.add(place)
        elif kind == "response.output_item.done" and _type_of(event.get("item")) in _CALLS:
            # A vendor that streams no arguments tells them here.
            _, pieces = calls.setdefault(place, (event["item"].get("name") or "", []))
            ids.setdefault(place, event["item"].get("call_id") or "")
            if not pieces:
                pieces.append(_arguments_of(event["item"]))
        elif kind == "response.output_item.done" and _type_of(event.get("item")) == "reasoning":
            _take_encrypted(facts, event["item"])
        elif kind in _ENDS:
            whole = facts_of_whole(event.get("response"))
            facts.finish, facts.usage = whole.finish, whole.usage
    facts.text, facts.reasoning = "".join(texts), "".join(reasoning)
    for place, (name, pieces) in calls.items():
        told = "".join(pieces)
        facts.tool_calls.append((name, {"input": told} if place in custom else arguments_of(told)))
        facts.call_ids.append(ids[place])
    facts.finish = facts.finish or finish_of(None, has_calls=bool(facts.tool_calls))
    return facts


def facts_of_whole(answer: JSON) -> Facts:
    """From a whole response. One that is not over, or failed, says nothing yet."""
    facts = Facts()
    output = answer.get("output") if isinstance(answer, dict) else None
    if not isinstance(output, list) or answer.get("status") in ("queued", "in_progress", "failed", "cancelled"):
        return facts
    facts.id = answer.get("id") or ""
    for item in output:
        kind = _type_of(item)
        if kind == "message":
            for part in item.get("content") or []:
                facts.text += part.get("text") or part.get("refusal") or ""
                facts.refusal += part.get("refusal") or ""
                facts.citations += [_source(one) for one in part.get("annotations") or []]
                facts.logprobs += _tokens(part)
        elif kind == "reasoning":
            for part in [*(item.get("summary") or []), *(item.get("content") or [])]:
                facts.reasoning += part.get("text") or ""
            _take_encrypted(facts, item)
        elif kind == "function_call":
            facts.tool_calls.append((item.get("name") or "", arguments_of(_arguments_of(item))))
            facts.call_ids.append(item.get("call_id") or "")
        elif kind == "custom_tool_call":
            facts.tool_calls.append((item.get("name") or "", {"input": _arguments_of(item)}))
            facts.call_ids.append(item.get("call_id") or "")
    reason = (answer.get("incomplete_details") or {}).get("reason")
    facts.finish = finish_of(reason, has_calls=bool(facts.tool_calls), words=_REASONS)
    told = answer.get("usage") or {}
    facts.usage = Usage(
        input=told.get("input_tokens"),
        output=told.get("output_tokens"),
        cached=count_of(told.get("input_tokens_details"), "cached_tokens"),
        reasoning=count_of(told.get("output_tokens_details"), "reasoning_tokens"),
    )
    return facts


def _source(annotation: JSON) -> str:
    return source_of(annotation, "title", "filename") if isinstance(annotation, dict) else ""


def _tokens(part: dict[str, JSON]) -> list[str]:
    return [entry.get("token") or "" for entry in part.get("logprobs") or []]


def _take_encrypted(facts: Facts, item: dict[str, JSON]) -> None:
    """Encrypted reasoning beside a text is its signature; alone it is all that there is."""
    sealed = item.get("encrypted_content")
    if sealed:
        (facts.signatures if item.get("summary") or item.get("content") else facts.redacted).append(sealed)


def _type_of(item: JSON) -> str:
    return str(item.get("type")) if isinstance(item, dict) else ""


def _arguments_of(item: dict[str, JSON]) -> str:
    told = item.get("arguments") if item.get("type") == "function_call" else item.get("input")
    return told if isinstance(told, str) else ""


def _begins(event: Event) -> bool:
    return _type_of(event.json()) == "response.created"


def _ends(event: Event) -> bool:
    return _type_of(event.json()) in _ENDS


def _error_of_event(event: Event) -> ErrorShape | None:
    data = event.json()
    kind = _type_of(data)
    if kind == "response.failed":
        response = data.get("response") or {}
        return _shape(response.get("error") if isinstance(response, dict) else None)
    if kind == "error" or (isinstance(data, dict) and not kind):
        return _shape(data.get("error") or (data if kind else None))
    return None


def _error_of_body(body: JSON, headers: Mapping[str, str]) -> ErrorShape | None:
    if not isinstance(body, dict):
        return None
    return _shape(body.get("error"))


def _shape(error: JSON) -> ErrorShape | None:
    if not isinstance(error, dict) or not isinstance(error.get("message"), str):
        return None
    kind = error.get("type")
    return ErrorShape(message=error["message"], type=kind if isinstance(kind, str) else None)


def _event(kind: str, **more: JSON) -> Event:
    return Event(kind, json.dumps({"type": kind, **more}))


def _response(status: str, **more: JSON) -> dict[str, JSON]:
    return {
        "id": "resp_triway",
        "object": "response",
        "created_at": 1,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "model": "m",
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": None,
        **more,
    }


def _synthetic(texts: Sequence[str]) -> list[Event]:
    where: dict[str, JSON] = {"item_id": "msg_triway", "output_index": 0, "content_index": 0}
    text = "".join(texts)
    part: dict[str, JSON] = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    item: dict[str, JSON] = {"id": "msg_triway", "type": "message", "role": "assistant", "status": "completed"}
    usage = {
        "input_tokens": 5,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 12,
    }
    started = {**item, "status": "in_progress", "content": []}
    done = {**item, "content": [part]}
    events: list[tuple[str, dict[str, JSON]]] = [
        ("response.created", {"response": _response("in_progress")}),
        ("response.in_progress", {"response": _response("in_progress")}),
        ("response.output_item.added", {"output_index": 0, "item": started}),
        ("response.content_part.added", {**where, "part": {**part, "text": ""}}),
        *(("response.output_text.delta", {**where, "delta": text, "logprobs": []}) for text in texts),
        ("response.output_text.done", {**where, "text": text, "logprobs": []}),
        ("response.content_part.done", {**where, "part": part}),
        ("response.output_item.done", {"output_index": 0, "item": done}),
        ("response.completed", {"response": _response("completed", output=[done], usage=usage)}),
    ]
    return [_event(kind, sequence_number=number, **fields) for number, (kind, fields) in enumerate(events)]


_FAILURE = {"code": "server_error", "message": "The server had an error while processing your request."}

WIRE = WireFormat(
    api="openai-responses",
    short="responses",
    path=lambda model, stream: "/v1/responses",
    headers={"authorization": "Bearer sk-conformance"},
    request=_request,
    facts_of_stream=lambda events: facts_of_events(event.json() for event in events),
    facts_of_whole=facts_of_whole,
    begins=_begins,
    finishes=_ends,
    terminator=_ends,
    error_of_event=_error_of_event,
    error_of_body=_error_of_body,
    error_types={},
    synthetic=_synthetic,
    error_event=_event("error", sequence_number=9, error={"type": "server_error", **_FAILURE, "param": None}),
    error_body=lambda status, message: {
        "error": {"message": message, "type": "server_error", "param": None, "code": None}
    },
    unknown_event=_event("response.triway_surprise", sequence_number=9, news=["x", 1, None]),
    filler=_event("response.in_progress", sequence_number=1, response=_response("in_progress")),
    calls_end_in_stop=True,
    tells=frozenset({"citations", "refusal", "cached", "reasoning", "call_ids"}),
)
