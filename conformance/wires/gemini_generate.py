"""Gemini's generateContent (https://ai.google.dev/api/generate-content), as AI Studio and Vertex AI have it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping, Sequence

from conformance.facts import JSON, Facts, Usage, finish_of
from conformance.wires.base import ErrorShape, WireFormat
from conformance.wires.events import Event

_FINISH = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "MALFORMED_FUNCTION_CALL": "length",
    "OTHER": "length",
}

_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}

_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]")


def _request(model: str, prompt: str, stream: bool) -> dict[str, JSON]:
    return {"contents": [{"role": "user", "parts": [{"text": prompt}]}]}


def _path(model: str, stream: bool) -> str:
    return f"/v1beta/models/{model}:" + ("streamGenerateContent?alt=sse" if stream else "generateContent")


class _Reader:
    """Adds up the first candidate."""

    def __init__(self) -> None:
        self.facts = Facts()
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._calls: list[tuple[str, JSON]] = []
        self._ids: list[str] = []
        self._pieces: list[JSON] | None = None
        """The `partialArgs` of a call whose end has not come."""
        self._word: str | None = None
        self._counts: dict[str, int] = {}
        self._others: dict[int, str] = {}

    def add(self, answer: JSON) -> None:
        if not isinstance(answer, dict):
            return
        self.facts.id = self.facts.id or answer.get("responseId") or ""
        usage = answer.get("usageMetadata")
        if isinstance(usage, dict):
            self._counts.update({name: count for name, count in usage.items() if isinstance(count, int)})
        for candidate in answer.get("candidates") or []:
            if (candidate.get("index") or 0) != 0:
                said = [part.get("text") or "" for part in (candidate.get("content") or {}).get("parts") or []]
                self._others[candidate["index"]] = self._others.get(candidate["index"], "") + "".join(said)
                continue
            for part in (candidate.get("content") or {}).get("parts") or []:
                self._part(part)
            self._word = candidate.get("finishReason") or self._word
        blocked = (answer.get("promptFeedback") or {}).get("blockReason")
        if blocked and not answer.get("candidates"):
            self._word = "PROHIBITED_CONTENT"

    def read(self) -> Facts:
        self._end_call()
        facts = self.facts
        facts.text, facts.reasoning, facts.tool_calls = "".join(self._texts), "".join(self._thoughts), self._calls
        facts.finish = finish_of(self._word, has_calls=bool(self._calls), words=_FINISH)
        if facts.finish == "stop" and self._calls:
            facts.finish = "tool_calls"
        facts.others = [self._others[index] for index in sorted(self._others)]
        facts.call_ids = self._ids
        facts.usage = Usage(
            input=self._sum("promptTokenCount", "toolUsePromptTokenCount"),
            output=self._sum("candidatesTokenCount", "thoughtsTokenCount"),
            cached=self._sum("cachedContentTokenCount"),
            reasoning=self._sum("thoughtsTokenCount"),
        )
        return facts

    def _sum(self, *names: str) -> int | None:
        told = [self._counts[name] for name in names if name in self._counts]
        return sum(told) if told else None

    def _part(self, part: dict[str, JSON]) -> None:
        call = part.get("functionCall")
        if not isinstance(call, dict):
            self._end_call()
        if isinstance(part.get("text"), str):
            (self._thoughts if part.get("thought") else self._texts).append(part["text"])
        elif isinstance(call, dict):
            self._call(call)
        else:
            return
        if part.get("thoughtSignature"):
            self._signature(part["thoughtSignature"])

    def _call(self, call: dict[str, JSON]) -> None:
        if call.get("name"):
            self._end_call()
            self._calls.append((call["name"], call.get("args") or {}))
            self._ids.append(call.get("id") or "")
            if call.get("willContinue"):
                self._pieces = []
        if self._pieces is not None:
            self._pieces += call.get("partialArgs") or []
            if not call.get("willContinue"):
                self._end_call()

    def _end_call(self) -> None:
        if self._pieces is not None:
            name, _ = self._calls.pop()
            self._calls.append((name, _put_together(self._pieces)))
            self._pieces = None

    def _signature(self, text: str) -> None:
        """Google's own as they are; of what a gateway sealed into the field, what it sealed."""
        text = text.replace("-", "+").replace("_", "/")
        kind, _, sealed = base64.b64decode(text + "=" * (-len(text) % 4)).partition(b" ")
        if kind == b"redacted":
            self.facts.redacted.append(sealed.decode().partition(":")[2])
        else:
            self.facts.signatures.append(sealed.decode().partition(":")[2] if kind == b"signed" else text)


def _put_together(pieces: Sequence[dict[str, JSON]]) -> JSON:
    """Arguments from their pieces: a string may come in several, everything else comes once."""
    values: dict[str, JSON] = {}
    for piece in pieces:
        path = piece["jsonPath"]
        if "stringValue" in piece:
            values[path] = values.get(path, "") + piece["stringValue"]
        else:
            values[path] = piece.get("numberValue", piece.get("boolValue"))
    whole: JSON = {}
    for path, value in values.items():
        at, steps = whole, [name or int(number) for name, number in _STEP.findall(path)]
        for step, following in zip(steps, [*steps[1:], None], strict=True):
            inner = value if following is None else ([] if isinstance(following, int) else {})
            if isinstance(at, list):
                at += [inner] * (len(at) == step)
            else:
                at.setdefault(step, inner)
            at = at[step]
    return whole


def facts_of_answers(answers: Iterable[JSON]) -> Facts:
    """From the events of a stream as data, or from the one whole answer."""
    reader = _Reader()
    for answer in answers:
        reader.add(answer)
    return reader.read()


def _facts_of_whole(answer: JSON) -> Facts:
    told = isinstance(answer, dict) and (answer.get("candidates") or answer.get("promptFeedback"))
    return facts_of_answers([answer]) if told else Facts()


def _finishes(event: Event) -> bool:
    data = event.json()
    if not isinstance(data, dict):
        return False
    candidates = data.get("candidates")
    found = [one for one in candidates if isinstance(one, dict)] if isinstance(candidates, list) else []
    return any(one.get("finishReason") for one in found) or bool((data.get("promptFeedback") or {}).get("blockReason"))


def _error_of_body(body: JSON, headers: Mapping[str, str]) -> ErrorShape | None:
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict) or not isinstance(error.get("message"), str):
        return None
    status = error.get("status")
    return ErrorShape(message=error["message"], type=status if isinstance(status, str) else None)


def _error_body(status: int, message: str) -> JSON:
    word = _STATUS.get(status, "UNKNOWN" if status >= 500 else "INVALID_ARGUMENT")
    return {"error": {"code": status, "message": message, "status": word}}


def _synthetic(texts: Sequence[str]) -> list[Event]:
    def event(candidate: JSON, **usage: int) -> Event:
        counts = {"promptTokenCount": 5, **usage}
        head = {"usageMetadata": counts, "modelVersion": "m", "responseId": "triway"}
        return Event("", json.dumps({"candidates": [{**candidate, "index": 0}], **head}))

    return [
        *(event({"content": {"parts": [{"text": text}], "role": "model"}}) for text in texts),
        event(
            {"content": {"parts": [{"text": ""}], "role": "model"}, "finishReason": "STOP"},
            candidatesTokenCount=7,
            totalTokenCount=12,
        ),
    ]


WIRE = WireFormat(
    api="gemini-generate",
    short="gemini",
    path=_path,
    headers={"x-goog-api-key": "conformance"},
    request=_request,
    facts_of_stream=lambda events: facts_of_answers(event.json() for event in events),
    facts_of_whole=_facts_of_whole,
    finishes=_finishes,
    terminator=None,
    error_of_event=lambda event: _error_of_body(event.json(), {}),
    error_of_body=_error_of_body,
    error_types=_STATUS,
    synthetic=_synthetic,
    error_event=Event("", json.dumps(_error_body(503, "The model is overloaded."))),
    error_body=_error_body,
    unknown_event=Event("", '{"surprise":{"news":["x",1,null]}}'),
    filler=Event("", '{"heartbeat":true}'),
    signs_reasoning=True,
    # Google signs texts and calls too: where those go on other wires is not where their own signatures are.
    signatures_travel=False,
    calls_end_in_stop=True,
    says_cut_calls=False,
    tells=frozenset({"others", "cached", "reasoning"}),
)
