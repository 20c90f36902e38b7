"""Content codings undone: a recording holds a body as its API's decoder would get it. No I/O.

What a compressor emits has nothing to do with where events end, and a secret cannot be found in it.
"""

from __future__ import annotations

from providers.errors import BadResponseError
from providers.transport.decoding import PIECE_BYTES, make_decoder


class CodingError(ValueError):
    """A body cannot be decoded; the message says why."""


def is_plain(content_encoding: str) -> bool:
    """Whether a `content-encoding` header says that nothing was done to the body."""
    return all(name.strip().lower() in ("", "identity") for name in content_encoding.split(","))


def undo_coding(body: bytes, content_encoding: str, *, max_bytes: int) -> bytes:
    """The body decoded. Raises `CodingError`: an unknown coding, broken input, or more than `max_bytes` of output."""
    if is_plain(content_encoding) or not body:
        return body
    decoder = make_decoder(content_encoding.encode("latin-1", "replace"))
    if decoder is None:
        raise CodingError(f"the content coding '{content_encoding[:40]}' is not known here")
    pieces: list[bytes] = []
    size = 0
    try:
        decoder.feed(body)
        while piece := decoder.read(PIECE_BYTES):
            size += len(piece)
            if size > max_bytes:
                raise CodingError(f"decoded, the body is larger than {max_bytes} bytes")
            pieces.append(piece)
        decoder.finish()
    except BadResponseError as error:
        raise CodingError(f"the body is not valid {content_encoding[:40]}") from error
    return b"".join(pieces)
