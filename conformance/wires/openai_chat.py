"""OpenAI Chat Completions, as the reference and its many vendors have it
(https://platform.openai.com/docs/api-reference/chat)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from conformance.facts import JSON, Facts, Usage, arguments_of, count_of, finish_of, source_of
from conformance.wires.base import ErrorShape, WireFormat
from conformance.wires.events import Event

_DONE = "[DONE]"


def _request(model: str, prompt: str, stream: bool) -> dict[str, JSON]:
    body: dict[str, JSON] = {"model": model, "messages": [{"role": "user", "content": prompt}]}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


def facts_of_chunks(chunks: Iterable[JSON]) -> Facts:
    """From the chunks of a stream as data, first choice."""
    facts = Facts()
    calls: dict[tuple[int, str | None], list[str]] = {}
    current: dict[int, tuple[int, str | None]] = {}
    finish: str | None = None
    texts: list[str] = []
    reasoning: list[str] = []
    detailed: list[str] = []
    others: dict[int, str] = {}
    for chunk in chunks:
        if not isinstance(chunk, dict):
            continue
        _take_usage(facts, chunk)
        facts.id = facts.id or _text(chunk.get("id"))
        for choice in chunk.get("choices") or []:
            if (choice.get("index") or 0) != 0:
                others[choice["index"]] = others.get(choice["index"], "") + _said(choice, "delta")
                continue
            facts.logprobs += _tokens(choice)
            _take_sources(facts, chunk)
            texts.append(choice.get("text") or "")  # legacy completions
            finish = choice.get("finish_reason") or finish
            delta = choice.get("delta") or {}
            text, thought, details = _take_message(facts, delta)
            texts.append(text)
            reasoning.append(thought)
            detailed.append(details)
            for position, call in enumerate(delta.get("tool_calls") or []):
                index = position if call.get("index") is None else call["index"]
                function = call.get("function") or _as_function(call)
                key = current.get(index)
                # Vendors that number every parallel call 0 exist: another id is another call.
                if key is None or (call.get("id") and calls[key][0] and call["id"] != calls[key][0]):
                    key = current[index] = (index, call.get("id"))
                    calls[key] = ["", "", "", _kind(call)]
                known = calls[key]
                known[0] = known[0] or call.get("id") or ""
                known[1] = known[1] or function.get("name") or ""
                known[2] += function.get("arguments") or ""
    facts.text, facts.reasoning = "".join(texts), "".join(reasoning) or "".join(detailed)
    facts.tool_calls = [(name, _arguments(arguments, kind)) for _, name, arguments, kind in calls.values()]
    facts.call_ids = [id_ for id_, *_ in calls.values()]
    facts.others = [others[index] for index in sorted(others)]
    facts.finish = finish_of(finish, has_calls=bool(facts.tool_calls))
    return facts


def _facts_of_stream(events: Sequence[Event]) -> Facts:
    return facts_of_chunks(event.json() for event in events)


def facts_of_whole(answer: JSON) -> Facts:
    """From a whole chat completion, first choice."""
    facts = Facts()
    if not isinstance(answer, dict) or not answer.get("choices"):
        return facts
    _take_usage(facts, answer)
    facts.id = _text(answer.get("id"))
    facts.others = [_said(other, "message") for other in answer["choices"][1:]]
    choice = answer["choices"][0]
    facts.logprobs = _tokens(choice)
    _take_sources(facts, answer)
    message = choice.get("message") or {}
    text, told, details = _take_message(facts, message)
    facts.reasoning = told or details
    facts.text = (choice.get("text") or "") + text
    for call in message.get("tool_calls") or []:
        function = call.get("function") or _as_function(call)
        facts.tool_calls.append((function.get("name") or "", _arguments(function.get("arguments") or "", _kind(call))))
        facts.call_ids.append(call.get("id") or "")
    facts.finish = finish_of(choice.get("finish_reason"), has_calls=bool(facts.tool_calls))
    return facts


def _text(value: JSON) -> str:
    return value if isinstance(value, str) else ""


def _said(choice: dict[str, JSON], where: str) -> str:
    """Text and reasoning of a choice that is not the first."""
    text, thought, details = _take_message(Facts(), choice.get(where) or {})
    return (choice.get("text") or "") + (thought or details) + text


def _take_sources(facts: Facts, answer: dict[str, JSON]) -> None:
    """Perplexity's list of addresses, which each chunk repeats."""
    for url in answer.get("citations") or []:
        if url not in facts.citations:
            facts.citations.append(url)


def _tokens(choice: dict[str, JSON]) -> list[str]:
    told = choice.get("logprobs") or {}
    return [entry["token"] for part in ("content", "refusal") for entry in told.get(part) or []]


def _kind(call: dict[str, JSON]) -> str:
    """`custom` for a custom tool's call. Snowflake puts an empty `custom` beside every function."""
    return "custom" if call.get("custom") and not call.get("function") else ""


def _as_function(call: dict[str, JSON]) -> dict[str, JSON]:
    """A custom tool's call, or a piece of it, as the call of a function."""
    custom = call.get("custom") or {}
    return {"name": custom.get("name"), "arguments": custom.get("input")}


def _arguments(text: str, kind: str) -> JSON:
    """A custom tool's free text as APIs without such tools say it."""
    return {"input": text} if kind == "custom" else arguments_of(text)


def _take_message(facts: Facts, message: dict[str, JSON]) -> tuple[str, str, str]:
    """Text, reasoning, and reasoning as `reasoning_details` repeat it; the signatures in there go to `facts`."""
    text = thought = ""
    content = message.get("content")
    if isinstance(content, list):
        for part in content:
            if part.get("type") == "text":
                text += part.get("text") or ""
            elif part.get("type") == "thinking":
                thought += "".join(piece.get("text") or "" for piece in part.get("thinking") or [])
    else:
        text += content or ""
    text += message.get("refusal") or ""
    facts.refusal += message.get("refusal") or ""
    for annotation in message.get("annotations") or []:
        facts.citations.append(source_of(annotation.get(annotation.get("type")) or annotation, "title"))
    details = message.get("reasoning_details") or []
    thought += message.get("reasoning_content") or message.get("reasoning") or ""
    for detail in details:
        if detail.get("signature"):
            facts.signatures.append(detail["signature"])
        if detail.get("type") == "reasoning.encrypted":
            facts.redacted.append(detail.get("data") or "")
    return text, thought, "".join(detail.get("text") or "" for detail in details)


def _take_usage(facts: Facts, chunk: dict[str, JSON]) -> None:
    told = chunk.get("usage") or (chunk.get("x_groq") or {}).get("usage")
    if told:
        old = facts.usage
        new = told.get("prompt_tokens"), _output(told)
        cached = count_of(told.get("prompt_tokens_details"), "cached_tokens")
        thought = count_of(told.get("completion_tokens_details"), "reasoning_tokens")
        if cached is None:
            # DeepSeek's place for it, and Together's.
            cached = count_of(told, "prompt_cache_hit_tokens", "cached_tokens")
        if thought is None:
            thought = count_of(told, "reasoning_tokens")
        facts.usage = Usage(
            input=old.input if new[0] is None else new[0],
            output=old.output if new[1] is None else new[1],
            cached=old.cached if cached is None else cached,
            reasoning=old.reasoning if thought is None else thought,
        )


def _output(told: dict[str, JSON]) -> int | None:
    """Every output token. xAI counts reasoning beside `completion_tokens`, which then lacks it of the total."""
    completion: int | None = told.get("completion_tokens")
    reasoning = (told.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
    lacking = (told.get("total_tokens") or 0) - (told.get("prompt_tokens") or 0) - (completion or 0)
    return completion if completion is None or lacking != reasoning else completion + reasoning


def _error_of_event(event: Event) -> ErrorShape | None:
    return _error_of_body(event.json(), {})


def _error_of_body(body: JSON, headers: Mapping[str, str]) -> ErrorShape | None:
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict) or not isinstance(error.get("message"), str):
        return None
    kind = error.get("type")
    return ErrorShape(message=error["message"], type=kind if isinstance(kind, str) else None)


def _finishes(event: Event) -> bool:
    data = event.json()
    choices = data.get("choices") if isinstance(data, dict) else None
    return any(isinstance(choice, dict) and choice.get("finish_reason") for choice in choices or [])


def _error_body(status: int, message: str) -> JSON:
    return {"error": {"message": message, "type": _TYPES.get(status, "api_error"), "param": None, "code": None}}


_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
"""What vendors of this API call errors of a status; the reference names none."""


def _synthetic(texts: Sequence[str]) -> list[Event]:
    head = {"id": "chatcmpl-triway", "object": "chat.completion.chunk", "created": 1, "model": "m"}

    def event(**more: JSON) -> Event:
        return Event("", json.dumps({**head, **more}))

    return [
        event(choices=[{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]),
        *(event(choices=[{"index": 0, "delta": {"content": text}, "finish_reason": None}]) for text in texts),
        event(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}]),
        event(choices=[], usage={"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}),
        Event("", _DONE),
    ]


WIRE = WireFormat(
    api="openai-chat",
    short="openai",
    path=lambda model, stream: "/v1/chat/completions",
    headers={"authorization": "Bearer sk-conformance"},
    request=_request,
    facts_of_stream=_facts_of_stream,
    facts_of_whole=facts_of_whole,
    finishes=_finishes,
    terminator=lambda event: event.data.strip() == _DONE,
    error_of_event=_error_of_event,
    error_of_body=_error_of_body,
    error_types={},
    synthetic=_synthetic,
    error_event=Event(
        "",
        '{"error":{"message":"The server had an error while processing your request.",'
        '"type":"server_error","param":null,"code":null}}',
    ),
    error_body=_error_body,
    unknown_event=Event("triway.surprise", '{"object":"triway.surprise","news":["x",1,null]}'),
    filler=Event("", '{"type":"ping","object":"ping"}'),
    signs_reasoning=True,
    tells=frozenset({"citations", "others", "refusal", "logprobs", "cached", "reasoning", "call_ids"}),
)
