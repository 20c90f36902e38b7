"""Ollama's own chat API (https://docs.ollama.com/api/chat)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from conformance.facts import JSON, Facts, Usage, finish_of
from conformance.wires.base import ErrorShape, WireFormat
from conformance.wires.events import Event
from conformance.wires.framings import NDJSON

_HEAD = {"model": "m", "created_at": "2026-03-21T07:42:00.123456789Z"}


def _request(model: str, prompt: str, stream: bool) -> dict[str, JSON]:
    return {"model": model, "messages": [{"role": "user", "content": prompt}], "stream": stream}


def facts_of_answers(answers: Iterable[JSON]) -> Facts:
    """From a whole answer, or the lines of a stream, which all have its shape."""
    facts = Facts()
    texts: list[str] = []
    reasoning: list[str] = []
    reason: str | None = None
    for answer in answers:
        if not isinstance(answer, dict):
            continue
        message = answer.get("message") or {}
        texts.append(message.get("content") or "")
        reasoning.append(message.get("thinking") or "")
        for call in message.get("tool_calls") or []:
            function = call.get("function") or {}
            facts.tool_calls.append((function.get("name") or "", function.get("arguments")))
        if answer.get("done"):
            reason = answer.get("done_reason") or reason
            facts.usage = Usage(input=answer.get("prompt_eval_count"), output=answer.get("eval_count"))
    facts.text, facts.reasoning = "".join(texts), "".join(reasoning)
    # The API says `stop` after tool calls too.
    word = "tool_calls" if reason == "stop" and facts.tool_calls else reason
    facts.finish = finish_of(word, has_calls=bool(facts.tool_calls))
    return facts


def _ends(event: Event) -> bool:
    data = event.json()
    return isinstance(data, dict) and data.get("done") is True


def _error(data: JSON) -> ErrorShape | None:
    told = data.get("error") if isinstance(data, dict) else None
    return ErrorShape(message=told, type=None) if isinstance(told, str) else None


def _error_of_body(body: JSON, headers: Mapping[str, str]) -> ErrorShape | None:
    return _error(body)


def _line(**data: JSON) -> Event:
    return Event("", json.dumps({**_HEAD, **data}))


def _synthetic(texts: Sequence[str]) -> list[Event]:
    end = {"done_reason": "stop", "done": True, "prompt_eval_count": 5, "eval_count": 7}
    return [
        *(_line(message={"role": "assistant", "content": text}, done=False) for text in texts),
        _line(message={"role": "assistant", "content": ""}, **end),
    ]


WIRE = WireFormat(
    api="ollama-chat",
    short="ollama",
    framing=NDJSON,
    path=lambda model, stream: "/api/chat",
    headers={},
    request=_request,
    facts_of_stream=lambda events: facts_of_answers(event.json() for event in events),
    facts_of_whole=lambda answer: facts_of_answers([answer]),
    finishes=_ends,
    terminator=_ends,
    error_of_event=lambda event: _error(event.json()),
    error_of_body=_error_of_body,
    error_types={},
    synthetic=_synthetic,
    error_event=Event("", '{"error": "an error was encountered while running the model"}'),
    error_body=lambda status, message: {"error": message},
    unknown_event=_line(message={"role": "assistant", "content": ""}, done=False, news=["x", 1, None]),
    filler=_line(message={"role": "assistant", "content": ""}, done=False),
)
