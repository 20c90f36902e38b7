"""`data:` URLs (RFC 2397), as clients put images and files into a request. Does no I/O."""

from __future__ import annotations

import re

_FILE_NAMES = {"application/pdf": "document.pdf", "text/plain": "document.txt"}

_DATA_URL = re.compile(r"data:(?P<type>[^;,]*)(?P<params>(?:;[^,]*)?),(?P<data>.*)", re.DOTALL)


def split_data_url(url: str) -> tuple[str, str] | None:
    """Media type (empty: not said) and base64 data of a `data:` URL; None for any other string."""
    if not url.startswith("data:"):
        return None
    found = _DATA_URL.fullmatch(url)
    if found is None or "base64" not in found["params"]:
        return None
    return found["type"], found["data"]


def join_data_url(media_type: str, data: str) -> str:
    """A `data:` URL of base64 data."""
    return f"data:{media_type};base64,{data}"


def file_name(media_type: str) -> str:
    """A name for inlined data that came without one: OpenAI's APIs demand it."""
    return _FILE_NAMES.get(media_type, "document")
