"""Images, documents, videos and audio of a request as blocks. Imports the model and the wire's neighbours.

The service fetches nothing but objects of S3 (`s3://...`): everything else must come as data. A document needs a name,
of few characters and unlike the others of the request; the one that the client gave is made to fit.
"""

from __future__ import annotations

import base64
import re

from providers.model import AudioPart, FilePart, ImagePart
from providers.wire.base import Translation
from providers.wire.data_url import split_data_url
from providers.wire.media_types import media_type_of_name, media_type_of_url

Block = dict[str, object]

_IMAGE_FORMATS = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",
    "image/gif": "gif",
    "image/webp": "webp",
}
_VIDEO_FORMATS = {
    "video/mp4": "mp4",
    "video/quicktime": "mov",
    "video/x-matroska": "mkv",
    "video/webm": "webm",
    "video/x-flv": "flv",
    "video/mpeg": "mpeg",
    "video/x-ms-wmv": "wmv",
    "video/3gpp": "three_gp",
}
_DOCUMENT_FORMATS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
}
_AUDIO_FORMATS = frozenset({"mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "m4a", "mpeg", "pcm", "webm"})

_NAME_REFUSED = re.compile(r"[^A-Za-z0-9\s()\[\]-]+")
_SPACES = re.compile(r"\s+")
_MAX_NAME = 180
"""The service takes 200; some are left for a number."""


class MediaEncoder:
    """Encodes the media of one request."""

    def __init__(self, translation: Translation) -> None:
        self._translation = translation
        self._names: set[str] = set()

    def image(self, part: ImagePart) -> Block | None:
        if part.detail not in (None, "auto"):
            self._translation.drop("messages.content.image_url.detail")
        url, data, media_type = part.url, part.data, part.media_type
        if url is not None and (inline := split_data_url(url)) is not None:
            url, data, media_type = None, inline[1], inline[0] or media_type
        if data is None and not _in_s3(url):
            place = "image_url" if url is not None else "image.file_id"
            self._translation.refuse(f"messages.content.{place}", "images go as data or from S3")
            return None
        known = _IMAGE_FORMATS.get(media_type or media_type_of_url(url or "", "image/png"))
        if known is None:
            self._translation.refuse("messages.content.image", f"no images of type {str(media_type)[:100]}")
            return None
        return {"image": {"format": known, "source": _source(data, url)}}

    def audio(self, part: AudioPart) -> Block | None:
        if part.format is not None and part.format not in _AUDIO_FORMATS:
            self._translation.refuse("messages.content.input_audio.format", f"no audio of type {part.format[:100]}")
            return None
        return {"audio": {"format": part.format or "wav", "source": {"bytes": part.data}}}

    def file(self, part: FilePart) -> Block | None:
        """A document or a video."""
        url, data, media_type = part.url, part.data, part.media_type
        if part.text is not None:
            data, media_type = base64.b64encode(part.text.encode()).decode(), "text/plain"
        inlined = data if data is not None else url
        if inlined is not None and (inline := split_data_url(inlined)) is not None:
            url, data, media_type = None, inline[1], inline[0] or media_type
        if data is None and not _in_s3(url):
            place = "url" if url is not None else "file_id"
            self._translation.refuse(f"messages.content.file.{place}", "files go as data or from S3")
            return None
        told_by_url = media_type_of_url(url or "", "application/pdf")
        media_type = media_type or media_type_of_name(part.filename, told_by_url)
        source = _source(data, url)
        if media_type in _VIDEO_FORMATS:
            return {"video": {"format": _VIDEO_FORMATS[media_type], "source": source}}
        known = _DOCUMENT_FORMATS.get(media_type)
        if known is None:
            self._translation.refuse("messages.content.file", f"no files of type {media_type[:100]}")
            return None
        document: Block = {"format": known, "name": self._name(part.filename), "source": source}
        if part.context is not None:
            document["context"] = part.context
        if part.citations is not None:
            document["citations"] = {"enabled": part.citations}
        return {"document": document}

    def _name(self, filename: str | None) -> str:
        wanted = _SPACES.sub(" ", _NAME_REFUSED.sub("-", filename or "document"))[:_MAX_NAME].strip() or "document"
        name, number = wanted, 1
        while name in self._names:
            number += 1
            name = f"{wanted} {number}"
        self._names.add(name)
        return name


def _in_s3(url: str | None) -> bool:
    return url is not None and url.startswith("s3://")


def _source(data: str | None, url: str | None) -> Block:
    return {"bytes": data} if data is not None else {"s3Location": {"uri": url}}
