"""Media types by a file's name, for data and URLs whose client did not say what they are. Does no I/O.

The standard library's own table, without the system's files, which differ from machine to machine; and a few types that
it has learned only lately.
"""

from __future__ import annotations

import mimetypes
from urllib.parse import urlsplit

_OFFICE = "application/vnd.openxmlformats-officedocument"

_MORE = {
    ".3gp": "video/3gpp",
    ".docx": f"{_OFFICE}.wordprocessingml.document",
    ".flv": "video/x-flv",
    ".heic": "image/heic",
    ".heif": "image/heif",
    ".markdown": "text/markdown",
    ".md": "text/markdown",
    ".mkv": "video/x-matroska",
    ".pptx": f"{_OFFICE}.presentationml.presentation",
    ".webp": "image/webp",
    ".wmv": "video/x-ms-wmv",
    ".xlsx": f"{_OFFICE}.spreadsheetml.sheet",
}

_TYPES = mimetypes.MimeTypes()
for _ending, _type in _MORE.items():
    _TYPES.add_type(_type, _ending)


def media_type_of_name(name: str | None, default: str) -> str:
    """The media type that the ending of a file's name tells; `default` if it tells none, or a compressed file."""
    _, dot, ending = (name or "").rpartition("/")[2].rpartition(".")
    told, packed = _TYPES.guess_type(f"x.{ending}") if dot else (None, None)
    return default if told is None or packed is not None else told


def media_type_of_url(url: str, default: str) -> str:
    """The media type that a URL's ending tells; of an image only one of images: `show.php` is no text."""
    told = media_type_of_name(urlsplit(url).path, default)
    return default if default.startswith("image/") and not told.startswith("image/") else told
