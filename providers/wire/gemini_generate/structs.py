"""What an answer of Gemini's generateContent holds on the wire, whole or one event of a stream.

Source: https://ai.google.dev/api/generate-content, the same of Vertex AI, and recorded traffic. A Struct names the
fields that the model in the middle can hold; others stay in the raw bytes. Any field may be missing or null. Parts are
read one by one, because a part of a kind that is not known here must be carried whole. Imports nothing but msgspec.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

API = "gemini-generate"

NO_RAW = Raw(b"")
NULL = Raw(b"null")


class Blob(Struct, rename="camel", gc=False):
    """Data in the message itself, in base64."""

    mime_type: str | None = None
    data: str | None = None
    display_name: str | None = None


class FileData(Struct, rename="camel", gc=False):
    """Data that Google fetches: a file of its Files API, of Cloud Storage (`gs://`), or of the web."""

    file_uri: str | None = None
    mime_type: str | None = None
    display_name: str | None = None


class PartialArg(Struct, rename="camel", gc=False):
    """One argument, or a piece of one, of a call whose arguments are streamed (Vertex)."""

    json_path: str = ""
    string_value: str | None = None
    number_value: float | None = None
    bool_value: bool | None = None
    null_value: Raw = NO_RAW
    will_continue: bool | None = None


class FunctionCall(Struct, rename="camel"):
    id: str | None = None
    name: str | None = None
    args: Raw = NO_RAW
    partial_args: list[PartialArg] | None = None
    will_continue: bool | None = None


class FunctionResponse(Struct, rename="camel"):
    id: str | None = None
    name: str | None = None
    response: Raw = NO_RAW
    parts: Raw = NO_RAW
    """Images and files of the result (Gemini 3)."""


class WirePart(Struct, rename="camel"):
    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    inline_data: Blob | None = None
    file_data: FileData | None = None
    function_call: FunctionCall | None = None
    function_response: FunctionResponse | None = None


class Content(Struct, rename="camel"):
    parts: list[Raw] | None = None
    role: str | None = None


class WebSource(Struct, rename="camel", omit_defaults=True, gc=False):
    """A page, a place of Google Maps, or a document of a store."""

    uri: str | None = None
    title: str | None = None


class GroundingChunk(Struct, rename="camel", omit_defaults=True, gc=False):
    web: WebSource | None = None
    retrieved_context: WebSource | None = None
    maps: WebSource | None = None


class Segment(Struct, rename="camel", gc=False):
    """A piece of the answer. Its places count bytes of UTF-8."""

    start_index: int = 0
    end_index: int = 0


class GroundingSupport(Struct, rename="camel"):
    segment: Segment | None = None
    grounding_chunk_indices: list[int] | None = None


class GroundingMetadata(Struct, rename="camel"):
    grounding_chunks: list[GroundingChunk] | None = None
    grounding_supports: list[GroundingSupport] | None = None


class CitationSource(Struct, rename="camel", omit_defaults=True, gc=False):
    start_index: int | None = None
    end_index: int | None = None
    uri: str | None = None
    title: str | None = None


class CitationMetadata(Struct, rename="camel"):
    citations: list[CitationSource] | None = None
    citation_sources: list[CitationSource] | None = None
    """AI Studio's name of it."""


class LogprobsCandidate(Struct, rename="camel", gc=False):
    token: str | None = None
    log_probability: float | None = None


class TopCandidates(Struct, rename="camel"):
    candidates: list[LogprobsCandidate] | None = None


class LogprobsResult(Struct, rename="camel"):
    chosen_candidates: list[LogprobsCandidate] | None = None
    top_candidates: list[TopCandidates] | None = None


class Candidate(Struct, rename="camel"):
    content: Content | None = None
    finish_reason: str | None = None
    index: int | None = None
    grounding_metadata: GroundingMetadata | None = None
    citation_metadata: CitationMetadata | None = None
    logprobs_result: LogprobsResult | None = None


class PromptFeedback(Struct, rename="camel", gc=False):
    block_reason: str | None = None


class ModalityCount(Struct, rename="camel", gc=False):
    modality: str | None = None
    token_count: int | None = None


class UsageMetadata(Struct, rename="camel", gc=False):
    """Every counter is cumulative, and None where an event does not report it."""

    prompt_token_count: int | None = None
    cached_content_token_count: int | None = None
    candidates_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    thoughts_token_count: int | None = None
    total_token_count: int | None = None
    prompt_tokens_details: list[ModalityCount] | None = None
    cache_tokens_details: list[ModalityCount] | None = None
    candidates_tokens_details: list[ModalityCount] | None = None
    tool_use_prompt_tokens_details: list[ModalityCount] | None = None


class GenerateContentResponse(Struct, rename="camel"):
    candidates: list[Candidate] | None = None
    prompt_feedback: PromptFeedback | None = None
    usage_metadata: Raw = NO_RAW
    model_version: str | None = None
    response_id: str | None = None
    create_time: str | None = None
    error: Raw = NO_RAW

    @property
    def is_answer(self) -> bool:
        """Whether this is (an event of) an answer of generateContent at all, and not some other JSON."""
        return not (
            self.candidates is None
            and self.prompt_feedback is None
            and self.response_id is None
            and self.model_version is None
        )


PART = msgspec.json.Decoder(WirePart)
RESPONSE = msgspec.json.Decoder(GenerateContentResponse)
USAGE = msgspec.json.Decoder(UsageMetadata)


def given(raw: Raw) -> bool:
    """Whether a value is there and not null."""
    return raw not in (NO_RAW, NULL)
