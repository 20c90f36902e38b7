"""Citations of a text, both ways. Positions count characters: on the wire in the text part, in the model in the answer.

Imports the model.
"""

from __future__ import annotations

from typing import Any

from providers.model import Citation, JSONObject
from providers.wire.openai_responses.api import API


def decode_annotation(raw: JSONObject, text_start: int) -> Citation:
    """An annotation of any kind. `text_start`: where its text part begins in the answer."""
    start, end = raw.get("start_index"), raw.get("end_index")
    title = raw.get("title") or raw.get("filename")
    url = raw.get("url")
    return Citation(
        kind=str(raw.get("type") or ""),
        url=url if isinstance(url, str) else None,
        title=title if isinstance(title, str) else None,
        start=start + text_start if isinstance(start, int) else None,
        end=end + text_start if isinstance(end, int) else None,
        api=API,
        raw=raw,
    )


def encode_annotation(citation: Citation, text_start: int, text_end: int) -> dict[str, Any] | None:
    """A citation in this API's form; None if it has none: then it names no URL.

    `text_start` and `text_end`: the place of its text part in the answer, cited as a whole where nothing else is known.
    """
    if citation.api == API and citation.raw is not None:
        return citation.raw
    if citation.url is None:
        return None
    start = text_start if citation.start is None else citation.start
    end = text_end if citation.end is None else citation.end
    return {
        "type": "url_citation",
        "url": citation.url,
        "title": citation.title or "",
        "start_index": max(0, start - text_start),
        "end_index": max(0, end - text_start),
    }
