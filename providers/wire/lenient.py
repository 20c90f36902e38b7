"""Reads JSON whose shape is not quite as the Structs say. Slow, and only entered when the typed decoder refused.

A field of the wrong type is left out and the rest is read, so that one odd field of a vendor does not cost an event.
What Python's own JSON parser takes is taken (lone surrogates, NaN), because the official SDK reads the stream with it.
Does no I/O.
"""

from __future__ import annotations

import json
import re
from typing import TypeVar

import msgspec

from providers.model import LLMResponse
from providers.wire.surrogates import SurrogateJoiner, mark

T = TypeVar("T")

_MAX_BAD_FIELDS = 64
_PATH = re.compile(r" - at `\$(.*)`$")
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]")


def decode_leniently(data: bytes, decoder: msgspec.json.Decoder[T]) -> T | None:
    """`data` as the decoder's type, less the fields of a wrong type. None: it is JSON, but not an object.

    Lone surrogates come as the stand-ins of `providers.wire.surrogates`. Raises `ValueError` if it is not JSON at all.
    """
    try:
        value = json.loads(data, parse_constant=lambda _: None)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(value, dict):
        return None
    for _ in range(_MAX_BAD_FIELDS):
        # A lone surrogate has no UTF-8 form; a stand-in has.
        text = mark(json.dumps(value, ensure_ascii=False)).encode()
        try:
            return decoder.decode(text)
        except msgspec.ValidationError as error:
            if not _leave_out(value, str(error)):
                return None
        except msgspec.DecodeError as error:
            raise ValueError(str(error)) from error
    return None


class LenientReader:
    """Reads the events of one stream: by the typed decoder where it can, leniently where it must."""

    __slots__ = ("_halves", "_lenient")

    def __init__(self) -> None:
        self._halves = SurrogateJoiner()
        self._lenient = False
        """Whether the event at hand was read leniently, so that it may hold halves of characters."""

    def decode(self, data: bytes, decoder: msgspec.json.Decoder[T]) -> T:
        """An event, or a piece of it that an earlier call left raw.

        Raises `ValueError` for what is no JSON object, or one whose shape no leaving out can save.
        """
        try:
            return decoder.decode(data)
        except (ValueError, RecursionError):
            self._lenient = True
        value = decode_leniently(data, decoder)
        if value is None:
            raise ValueError("not of the expected shape")
        return value

    def join(self, chunk: LLMResponse) -> None:
        """Put together, in place, the characters whose halves came in the event's chunk and in earlier ones."""
        if self._lenient or self._halves:
            self._halves.join(chunk)
        self._lenient = False


def _leave_out(value: object, message: str) -> bool:
    """Remove from `value` the field that a validation error names. False: it names none."""
    found = _PATH.search(message)
    steps = _STEP.findall(found[1]) if found else []
    if not steps:
        return False
    for name, place in steps[:-1]:
        value = value[name] if isinstance(value, dict) else value[int(place)]  # type: ignore[index]
    name, place = steps[-1]
    if isinstance(value, dict):
        del value[name]
    elif isinstance(value, list):
        del value[int(place)]
    return True
