"""The sources of an answer: grounding and citation metadata as citations of the model, and back.

Google counts places in bytes of UTF-8 over the answer's text, the model in characters. Imports the model.
"""

from __future__ import annotations

import msgspec

from providers.model import Citation
from providers.wire.gemini_generate.structs import API, Candidate, CitationMetadata, GroundingMetadata


class AnswerText:
    """The text of an answer so far, to find a place in it."""

    __slots__ = ("_ascii", "_pieces")

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._ascii = True

    def add(self, text: str) -> None:
        self._pieces.append(text)
        self._ascii = self._ascii and text.isascii()

    def encoded(self) -> bytes | None:
        """The text's bytes; None: every character is one byte, so that places need no counting."""
        return None if self._ascii else "".join(self._pieces).encode(errors="surrogatepass")


def read_citations(candidate: Candidate, text: AnswerText) -> list[Citation]:
    """The citations that an event brings."""
    grounding, cited = candidate.grounding_metadata, candidate.citation_metadata
    has_grounding = grounding is not None and grounding.grounding_supports and grounding.grounding_chunks
    if not has_grounding and cited is None:
        return []
    data = text.encoded()
    citations: list[Citation] = []
    if grounding is not None and has_grounding:
        citations += _of_grounding(grounding, data)
    if cited is not None:
        citations += _of_sources(cited, data)
    return citations


def _of_grounding(grounding: GroundingMetadata, data: bytes | None) -> list[Citation]:
    chunks = grounding.grounding_chunks or []
    found: list[Citation] = []
    for support in grounding.grounding_supports or ():
        segment = support.segment
        for number in support.grounding_chunk_indices or ():
            if not 0 <= number < len(chunks):
                continue
            chunk = chunks[number]
            source = chunk.web or chunk.maps or chunk.retrieved_context
            citation = Citation(kind="grounding", api=API, raw=msgspec.to_builtins(chunk))
            if source is not None:
                citation.url, citation.title = source.uri, source.title
            if segment is not None:
                citation.start = _place(segment.start_index, data)
                citation.end = _place(segment.end_index, data)
            found.append(citation)
    return found


def _of_sources(cited: CitationMetadata, data: bytes | None) -> list[Citation]:
    return [
        Citation(
            kind="citation",
            url=source.uri,
            title=source.title,
            start=_place(source.start_index or 0, data),
            end=None if source.end_index is None else _place(source.end_index, data),
            api=API,
            raw=msgspec.to_builtins(source),
        )
        for source in cited.citations or cited.citation_sources or ()
    ]


def _place(offset: int, data: bytes | None) -> int:
    return offset if data is None else len(data[:offset].decode(errors="ignore"))


def encode_citation(citation: Citation) -> dict[str, object] | None:
    """An entry of `citationMetadata.citations`; None: it has no place to point at."""
    if citation.url is None:
        return None
    wire: dict[str, object] = {"uri": citation.url}
    if citation.title:
        wire["title"] = citation.title
    if citation.start is not None and citation.end is not None:
        wire["startIndex"], wire["endIndex"] = citation.start, citation.end
    return wire
