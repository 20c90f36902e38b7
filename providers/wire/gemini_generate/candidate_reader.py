"""`CandidateReader`: the pieces of one candidate as parts of the model. The same code reads streams and whole answers.

The wire has no part numbers, so the reader gives out the indices. The rules, all of them here:
* a text goes on with the text before it, a thought with the thought before it, if no other part stood between;
* a signature closes its part, and a part with a signature is one of its own: what Google signed must come back as it
  was, neither merged nor cut;
* a function call is a part of its own. Without an id it gets one made from the answer's own id and its place, so that
  the same bytes always give the same id; its arguments come whole, or in pieces until one says no more `willContinue`;
* code that Google ran, its result, and every kind of part that is not known here is opaque.
"""

from __future__ import annotations

import re

from msgspec import Raw

from providers.model import (
    GOOGLE_SIGNATURE,
    Choice,
    Delta,
    OpaquePart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
)
from providers.wire.gemini_generate.citations import AnswerText, read_citations
from providers.wire.gemini_generate.finish import finish_reason_of
from providers.wire.gemini_generate.logprobs import decode_logprobs
from providers.wire.gemini_generate.media import decode_file, decode_inline
from providers.wire.gemini_generate.partial_args import PartialArgs
from providers.wire.gemini_generate.structs import API, PART, Candidate, FunctionCall, WirePart, given
from providers.wire.json_text import FIELDS, text_of
from providers.wire.lenient import decode_leniently

_NOT_FOR_IDS = re.compile(r"[^A-Za-z0-9_-]")

_BESIDE = frozenset({"thought", "thoughtSignature", "videoMetadata", "mediaResolution", "partMetadata"})
"""Fields of a part that say something about it, not what it is."""


def read_part(raw: Raw) -> WirePart:
    """The part, less the fields of a wrong type. Raises ValueError for what is no object."""
    try:
        return PART.decode(raw)
    except ValueError:
        part = decode_leniently(bytes(raw), PART)
        if part is None:
            raise
        return part


def kind_of(raw: Raw) -> str:
    """What an opaque part is: the name of its field."""
    return next((name for name in FIELDS.decode(raw) if name not in _BESIDE), "")


def arguments_of(call: FunctionCall) -> str:
    """The arguments as JSON text. A call without any has none to say, which is an empty object."""
    return text_of(call.args) if given(call.args) else "{}"


class _StreamedCall:
    __slots__ = ("args", "index")

    def __init__(self, index: int) -> None:
        self.index = index
        self.args = PartialArgs()


class CandidateReader:
    """One for each candidate of an answer."""

    __slots__ = (
        "_call",
        "_has_call",
        "_last_text",
        "_next",
        "_open",
        "_role_said",
        "_text",
        "finished",
        "opaque",
    )

    def __init__(self) -> None:
        self._next = 0
        self._open: type[TextPart] | type[ReasoningPart] | None = None
        """What the last part is, if it can go on."""
        self._last_text = -1
        """The index of the last part that has visible text: what citations belong to."""
        self._text = AnswerText()
        self._call: _StreamedCall | None = None
        self._has_call = False
        self._role_said = False
        self.finished = False
        """Whether its finish reason has come."""
        self.opaque = 0
        """Parts that have no place in the model but as opaque ones."""

    def read(self, candidate: Candidate, answer_id: str) -> Choice:
        """What an event says of this candidate. `answer_id`: what ids of calls are made from."""
        index = candidate.index or 0
        prefix = f"call_{_NOT_FOR_IDS.sub('', answer_id)}_" + (f"{index}_" if index else "")
        parts: list[Part] = []
        for raw in (candidate.content.parts or ()) if candidate.content is not None else ():
            self._read_part(raw, prefix, parts)
        citations = read_citations(candidate, self._text)
        if citations and self._last_text >= 0:
            parts.append(TextPart(index=self._last_text, citations=citations))
        delta = Delta(content=parts)
        if not self._role_said:
            self._role_said = True
            delta.role = "assistant"
        choice = Choice(index=index, delta=delta, logprobs=decode_logprobs(candidate.logprobs_result))
        if candidate.finish_reason:
            self.finished = True
            self._end_call(parts)
            choice.native_finish_reason = candidate.finish_reason
            choice.finish_reason = finish_reason_of(candidate.finish_reason, has_tool_call=self._has_call)
        return choice

    def _new(self) -> int:
        index = self._next
        self._next += 1
        self._open = None
        return index

    def _read_part(self, raw: Raw, prefix: str, parts: list[Part]) -> None:
        part = read_part(raw)
        if part.function_call is not None:
            self._read_call(part.function_call, part.thought_signature or "", prefix, parts)
            return
        self._end_call(parts)
        if part.text is not None:
            self._read_text(part, parts)
        elif part.inline_data is not None:
            parts.append(decode_inline(part.inline_data, self._new(), part.thought_signature or ""))
        elif part.file_data is not None:
            parts.append(decode_file(part.file_data, self._new()))
        elif kind := kind_of(raw):
            self.opaque += 1
            parts.append(OpaquePart(index=self._new(), kind=kind, api=API, raw=raw))
        elif part.thought_signature:
            parts.append(TextPart(index=self._new(), signature=part.thought_signature))

    def _read_text(self, wire: WirePart, parts: list[Part]) -> None:
        text, signature = wire.text or "", wire.thought_signature or ""
        if not (text or signature):
            return
        kind = ReasoningPart if wire.thought else TextPart
        index = self._next - 1 if self._open is kind and not signature else self._new()
        if wire.thought:
            signed_by = GOOGLE_SIGNATURE if signature else None
            parts.append(ReasoningPart(index=index, text=text, signature=signature, format=signed_by))
        else:
            parts.append(TextPart(index=index, text=text, signature=signature))
            self._text.add(text)
            if text:
                self._last_text = index
        self._open = None if signature else kind

    def _read_call(self, call: FunctionCall, signature: str, prefix: str, parts: list[Part]) -> None:
        if call.name:
            self._end_call(parts)
            index = self._new()
            self._has_call = True
            part = ToolCallPart(index=index, id=call.id or f"{prefix}{index}", name=call.name, signature=signature)
            parts.append(part)
            if not call.will_continue and call.partial_args is None:
                part.arguments = arguments_of(call)
                return
            self._call = _StreamedCall(index)
        streamed = self._call
        if streamed is None:
            return
        for arg in call.partial_args or ():
            streamed.args.add(arg)
        if not call.will_continue:
            self._end_call(parts)

    def _end_call(self, parts: list[Part]) -> None:
        """The arguments of a call that came in pieces, now that they are all there."""
        if self._call is not None:
            parts.append(ToolCallPart(index=self._call.index, arguments=self._call.args.text()))
            self._call = None
