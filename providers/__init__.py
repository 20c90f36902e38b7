"""The upstream side, and the SDK that extension authors import.

    from providers import HTTPProvider, LLMRequest, LLMResponse, extension, http_schema, text_chunk

See docs/providers.md. Imports nothing from proxy/ or conformance/.
"""

from providers.errors import (
    BadResponseError,
    ErrorKind,
    GatewayError,
    ProviderConnectionError,
    ProviderError,
    ProviderTimeoutError,
    RequestError,
    UnsupportedParameterError,
    kind_of_status,
)
from providers.extension import Config, Extension, extension
from providers.http import HTTPProvider, HTTPSettings, OutgoingRequest, WireProvider, http_schema
from providers.model import (
    Accumulator,
    AssistantMessage,
    Choice,
    Delta,
    ErrorInfo,
    EventKind,
    LLMRequest,
    LLMResponse,
    Message,
    RawBody,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    Usage,
    finish_chunk,
    reasoning_chunk,
    text_chunk,
    text_response,
    tool_call_chunk,
)
from providers.provider import ChunkEmitter, PhaseExecution, Provider, RelayRequest
from providers.wire.sse import SSEDecoder, SSEvent

__all__ = [
    "Accumulator",
    "AssistantMessage",
    "BadResponseError",
    "Choice",
    "ChunkEmitter",
    "Config",
    "Delta",
    "ErrorInfo",
    "ErrorKind",
    "EventKind",
    "Extension",
    "GatewayError",
    "HTTPProvider",
    "HTTPSettings",
    "LLMRequest",
    "LLMResponse",
    "Message",
    "OutgoingRequest",
    "PhaseExecution",
    "Provider",
    "ProviderConnectionError",
    "ProviderError",
    "ProviderTimeoutError",
    "RawBody",
    "ReasoningPart",
    "RelayRequest",
    "RequestError",
    "SSEDecoder",
    "SSEvent",
    "TextPart",
    "ToolCallPart",
    "ToolResultPart",
    "UnsupportedParameterError",
    "Usage",
    "WireProvider",
    "extension",
    "finish_chunk",
    "http_schema",
    "kind_of_status",
    "reasoning_chunk",
    "text_chunk",
    "text_response",
    "tool_call_chunk",
]
