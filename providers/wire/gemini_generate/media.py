"""Images, sounds and files: `inlineData` and `fileData` as parts of the model, and back. Imports the model.

A file that Google stores (its Files API, Cloud Storage) becomes a `file_id`: no other provider could fetch it. A URL of
anywhere else stays a URL. Google wants a media type with each; where a client of another API did not give it, the
name's ending tells it, or the kind of the part.
"""

from __future__ import annotations

import re

from providers.model import AudioPart, FilePart, ImagePart
from providers.wire.gemini_generate.structs import Blob, FileData

MediaPart = ImagePart | AudioPart | FilePart

_STORED_AT_GOOGLE = re.compile(r"gs://|https://generativelanguage\.googleapis\.com/|files/")
_AUDIO_FORMATS = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav"}
_AUDIO_TYPES = {"mp3": "audio/mpeg", "pcm16": "audio/L16"}


def decode_inline(blob: Blob, index: int, signature: str = "") -> MediaPart:
    """The part that a blob is."""
    kind, _, subtype = (blob.mime_type or "").partition("/")
    if kind == "image":
        return ImagePart(index=index, data=blob.data or "", media_type=blob.mime_type, signature=signature)
    if kind == "audio":
        return AudioPart(index=index, data=blob.data or "", format=_AUDIO_FORMATS.get(subtype, subtype))
    return FilePart(index=index, data=blob.data or "", media_type=blob.mime_type, filename=blob.display_name)


def decode_file(file: FileData, index: int) -> MediaPart:
    """The part that a reference to a file is."""
    uri = file.file_uri or ""
    stored = _STORED_AT_GOOGLE.match(uri) is not None
    url, file_id = (None, uri) if stored else (uri, None)
    if (file.mime_type or "").startswith("image/"):
        return ImagePart(index=index, url=url, file_id=file_id, media_type=file.mime_type)
    return FilePart(index=index, url=url, file_id=file_id, media_type=file.mime_type, filename=file.display_name)


def inline_data(data: str, media_type: str, name: str | None = None) -> dict[str, object]:
    return {"inlineData": {"mimeType": media_type, "data": data, **_named(name)}}


def file_data(uri: str, media_type: str | None, name: str | None = None) -> dict[str, object]:
    wire = {"fileUri": uri, **_named(name)}
    if media_type is not None:
        wire["mimeType"] = media_type
    return {"fileData": wire}


def _named(name: str | None) -> dict[str, str]:
    return {"displayName": name} if name is not None else {}


def audio_type(part: AudioPart) -> str:
    """The media type of a sound."""
    form = part.format or "wav"
    return _AUDIO_TYPES.get(form, f"audio/{form}")
