"""What every stream decoder's tests do: decode, fold, and cut the same bytes in every way."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st

from providers.model import Accumulator, LLMResponse
from providers.replay.recording import BUNDLED, Recording, load_recordings
from providers.wire import load_wire
from tests.support.recordings import SHARED


def decode(api: str, body: bytes) -> list[LLMResponse]:
    decoder = load_wire(api).stream_decoder()
    return decoder.feed(body) + decoder.eof()


def accumulate(chunks: Iterable[LLMResponse]) -> LLMResponse:
    accumulator = Accumulator()
    for chunk in chunks:
        accumulator.add(chunk)
    return accumulator.response()


def message_of(response: LLMResponse) -> list[Any]:
    message = response.choices[0].message
    assert message is not None
    return message.content


def recorded_streams(api: str) -> list[Recording]:
    found = load_recordings(BUNDLED, api=api, kind="stream")
    return found + (load_recordings(SHARED, api=api, kind="stream") if SHARED.is_dir() else [])


def pieces_of(data: st.DataObject, bodies: list[bytes]) -> tuple[bytes, list[bytes]]:
    """A body, and the same cut anywhere."""
    body = data.draw(st.sampled_from(bodies))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=40)))
    return body, [body[left:right] for left, right in zip([0, *cuts], [*cuts, len(body)], strict=True)]


def decode_pieces(api: str, pieces: Iterable[bytes]) -> list[LLMResponse]:
    decoder = load_wire(api).stream_decoder()
    return [chunk for piece in pieces for chunk in decoder.feed(piece)] + decoder.eof()
