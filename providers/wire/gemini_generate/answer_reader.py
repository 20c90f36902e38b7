"""`AnswerReader`: an answer, or its events one by one, as responses of the model. Imports the model."""

from __future__ import annotations

from datetime import datetime
from hashlib import blake2b

import msgspec

from providers.model import Choice, Delta, LLMResponse
from providers.wire.gemini_generate.candidate_reader import CandidateReader
from providers.wire.gemini_generate.structs import RESPONSE, GenerateContentResponse
from providers.wire.gemini_generate.usage import UsageMeter
from providers.wire.lenient import decode_leniently


def decode_body(data: bytes) -> tuple[GenerateContentResponse | None, bool]:
    """The JSON object, less fields of a wrong type, and whether it had to be read leniently (so that it may hold halves
    of characters, see `providers.wire.surrogates`). None: it is JSON, but no object. Raises ValueError."""
    try:
        return RESPONSE.decode(data), False
    except (ValueError, RecursionError):
        return decode_leniently(data, RESPONSE), True


class AnswerReader:
    """One for each answer."""

    __slots__ = ("_blocked", "_candidates", "_id", "_meter")

    def __init__(self) -> None:
        self._candidates: dict[int, CandidateReader] = {}
        self._meter = UsageMeter()
        self._id = ""
        """What ids of calls are made from: the answer's own id, or a digest of its first event."""
        self._blocked = False

    @property
    def complete(self) -> bool:
        """Whether every candidate has its finish reason, or the prompt was blocked."""
        if self._blocked:
            return True
        return bool(self._candidates) and all(reader.finished for reader in self._candidates.values())

    def read(self, wire: GenerateContentResponse, data: bytes) -> LLMResponse:
        """What `data`, decoded as `wire`, says. Raises ValueError where its shape is another one."""
        if not self._id:
            self._id = wire.response_id or blake2b(data, digest_size=9).hexdigest()
        choices = []
        for candidate in wire.candidates or ():
            reader = self._candidates.setdefault(candidate.index or 0, CandidateReader())
            choices.append(reader.read(candidate, self._id))
        feedback = wire.prompt_feedback
        if feedback is not None and feedback.block_reason and not choices:
            self._blocked = True
            choices.append(_blocked(feedback.block_reason))
        return LLMResponse(
            id=wire.response_id or "",
            model=wire.model_version or "",
            created=_unix_time(wire.create_time),
            choices=choices,
            usage=self._meter.update(wire.usage_metadata),
        )

    def take_opaque(self) -> int:
        """How many parts were opaque since the last call."""
        count = sum(reader.opaque for reader in self._candidates.values())
        for reader in self._candidates.values():
            reader.opaque = 0
        return count


def _blocked(reason: str) -> Choice:
    """The answer to a prompt that Google refused: empty, and filtered."""
    return Choice(delta=Delta(role="assistant"), finish_reason="content_filter", native_finish_reason=reason)


def _unix_time(timestamp: str | None) -> int:
    if timestamp is None:
        return 0
    try:
        return int(msgspec.convert(timestamp, datetime).timestamp())
    except (ValueError, OverflowError):
        return 0
