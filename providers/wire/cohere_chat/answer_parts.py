"""What whole and streamed answers have in common: citations, log probabilities, arguments. Imports the model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from providers.model import Citation, JSONObject
from providers.wire.cohere_chat.structs import API, Function, LogprobItem


def citations_of(wire: JSONObject) -> list[Citation]:
    """A citation, once for each of its sources; `start` and `end` count in the answer's text."""
    sources = wire.get("sources")
    found = [source for source in sources if isinstance(source, dict)] if isinstance(sources, list) else []
    return [_citation(wire, source) for source in found or [{}]]


def _citation(wire: JSONObject, source: JSONObject) -> Citation:
    told = source.get("document") or source.get("tool_output")
    document: JSONObject = told if isinstance(told, dict) else {}
    start, end = wire.get("start"), wire.get("end")
    return Citation(
        kind=_string(source, "type") or "citation",
        url=_string(document, "url"),
        title=_string(document, "title"),
        cited_text=_string(document, "snippet") or _string(document, "text") or _string(document, "content"),
        start=start if isinstance(start, int) else None,
        end=end if isinstance(end, int) else None,
        api=API,
        raw=wire,
    )


def is_of_text(citation: JSONObject) -> bool:
    """Whether it cites for the answer's text, and not for the plan or the thinking, which have no citations here."""
    return citation.get("type") in (None, "TEXT_CONTENT")


def _string(value: JSONObject, name: str) -> str | None:
    found = value.get(name)
    return found if isinstance(found, str) else None


def logprobs_of(items: Iterable[LogprobItem]) -> dict[str, Any] | None:
    """In OpenAI's shape. An item that counts several tokens does not say which text is whose: they go together."""
    content = [
        {
            "token": item.text or "",
            "logprob": sum(item.logprobs or ()),
            "bytes": list((item.text or "").encode()),
            "top_logprobs": [],
        }
        for item in items
    ]
    return {"content": content} if content else None


def arguments_of(function: Function | None) -> str:
    """The JSON text of a call's arguments, or the next piece of it."""
    arguments = function.arguments if function is not None else None
    if isinstance(arguments, dict):
        return msgspec.json.encode(arguments).decode()
    return arguments or ""
