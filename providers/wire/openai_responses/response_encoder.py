"""A whole answer for a client of the Responses API. Imports the model."""

from __future__ import annotations

import msgspec

from providers.model import LLMRequest, LLMResponse, chunk_of_whole
from providers.wire.openai_responses.api import API
from providers.wire.openai_responses.stream_encoder import ResponsesStreamEncoder


def encode_response(response: LLMResponse, request: LLMRequest) -> bytes:
    """The answer's body: the provider's own bytes while `raw` holds them, else what its stream would end with.

    Only the first choice is told, since this API gives one answer. What it has no item for goes into
    `notes.unsaid`.
    """
    if response.raw is not None and response.raw.api == API:
        return response.raw.body
    encoder = ResponsesStreamEncoder(request)
    encoder.encode(chunk_of_whole(response))
    encoder.finish(response)
    request.notes.unsaid += encoder.unsaid
    return msgspec.json.encode(encoder.response)
