"""Which API an exchange speaks, and which vendor answered: by path and host, else by what the answer holds. No I/O."""

from __future__ import annotations

import ipaddress
import re

import msgspec

from conformance.capture.captured import Captured
from conformance.capture.frames import parts_of
from providers.replay.events import AMAZON_EVENT_STREAM, EVENT_STREAM, split_events
from providers.replay.recording import JSON

APIS = (
    "openai-chat",
    "openai-responses",
    "anthropic-messages",
    "gemini-generate",
    "bedrock-converse",
    "cohere-chat",
    "ollama-chat",
)

_PATHS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (api, re.compile(pattern))
    for api, pattern in (
        ("openai-chat", r"(?:.*/)?chat/completions/?"),
        ("openai-responses", r"(?:.*/)?responses/?"),
        (
            "anthropic-messages",
            r"(?:.*/)?messages/?|.*/publishers/anthropic/models/[^/]+:(?:streamRawPredict|rawPredict)",
        ),
        ("gemini-generate", r".*/models/[^/]+:(?:generateContent|streamGenerateContent)"),
        ("bedrock-converse", r".*/model/[^/]+/converse(?:-stream)?"),
        ("cohere-chat", r"(?:.*/)?v2/chat/?"),
        ("ollama-chat", r"(?:.*/)?api/chat/?"),
    )
)
_OTHER = re.compile(
    r".*/(?:models|embeddings|count_tokens|batches|files|moderations|images/\w+|audio/\w+|completions|api/(?:tags|show|ps))"
    r"(?:/.*)?|.*:(?:countTokens|embedContent|batchEmbedContents)"
)
"""Other endpoints of these APIs: never taken for a conversation, whatever they answer."""

_HOSTS: tuple[tuple[str, str], ...] = (
    ("openai.com", "openai"),
    ("openai.azure.com", "azure"),
    ("services.ai.azure.com", "azure"),
    ("cognitiveservices.azure.com", "azure"),
    ("models.ai.azure.com", "azure"),
    ("anthropic.com", "anthropic"),
    ("generativelanguage.googleapis.com", "gemini"),
    ("aiplatform.googleapis.com", "vertex"),
    ("amazonaws.com", "bedrock"),
    ("api.aws", "bedrock"),
    ("groq.com", "groq"),
    ("mistral.ai", "mistral"),
    ("deepseek.com", "deepseek"),
    ("x.ai", "xai"),
    ("openrouter.ai", "openrouter"),
    ("cohere.com", "cohere"),
    ("cohere.ai", "cohere"),
    ("cerebras.ai", "cerebras"),
    ("huggingface.co", "huggingface"),
    ("together.xyz", "together"),
    ("together.ai", "together"),
    ("fireworks.ai", "fireworks"),
    ("perplexity.ai", "perplexity"),
    ("aliyuncs.com", "alibaba"),
    ("z.ai", "zai"),
    ("bigmodel.cn", "zai"),
    ("moonshot.ai", "moonshot"),
    ("moonshot.cn", "moonshot"),
    ("nvidia.com", "nvidia"),
    ("sambanova.ai", "sambanova"),
    ("snowflakecomputing.com", "snowflake"),
    ("ollama.com", "ollama"),
)
_VENDOR_OF_API = {
    "openai-chat": "openai",
    "openai-responses": "openai",
    "anthropic-messages": "anthropic",
    "gemini-generate": "gemini",
    "bedrock-converse": "bedrock",
    "cohere-chat": "cohere",
    "ollama-chat": "ollama",
}


def recognise_api(captured: Captured) -> str | None:
    """The API of an exchange; None if it is none of `APIS`."""
    request = captured.request
    if not may_be_conversation(captured):
        return None
    api = _api_of_path(request.path) if request is not None else None
    if api is not None:
        return api
    return api_of_answer(captured.body, captured.media_type)


def may_be_conversation(captured: Captured) -> bool:
    """Whether an exchange of no known path may be given an API by the user: a POST to no other known endpoint."""
    request = captured.request
    if request is None:
        return True
    return request.method == "POST" and (
        _api_of_path(request.path) is not None or _OTHER.fullmatch(request.path) is None
    )


def recognise_vendor(host: str, api: str) -> str:
    """Who answered: a known host's vendor, else the host as one word; without a host, whose API it is."""
    host = host.lower().rstrip(".")
    if not host:
        return _VENDOR_OF_API.get(api, "unknown")
    for suffix, vendor in _HOSTS:
        if (host == suffix or host.endswith((f".{suffix}", f"-{suffix}"))) and (
            vendor != "bedrock" or "bedrock" in host
        ):
            return vendor
    if api == "ollama-chat":
        return "ollama"
    try:
        is_local = ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        is_local = host == "localhost" or host.endswith(".localhost")
    if is_local:
        return "localhost"
    return re.sub(r"[^a-z0-9]+", "-", host).strip("-") or "unknown"


def api_of_answer(body: bytes, media_type: str) -> str | None:
    """The API that an answer is of, by the first document in it; None if nothing tells."""
    if media_type == AMAZON_EVENT_STREAM:
        first = split_events(body, media_type)[:1]
        return "bedrock-converse" if first and parts_of(first[0]) and b"messageStart" in first[0] else None
    for document in _first_documents(body, media_type):
        api = api_of_document(document)
        if api is not None:
            return api
    return None


def api_of_document(document: JSON) -> str | None:
    """The API of an answer's document or event; None if nothing tells."""
    if not isinstance(document, dict):
        return None
    kind, named = document.get("type"), document.get("object")
    kind = kind if isinstance(kind, str) else ""
    if named in ("chat.completion", "chat.completion.chunk"):
        return "openai-chat"
    if named == "response" or kind.startswith("response."):
        return "openai-responses"
    if kind == "message_start" or (kind == "message" and document.get("role") == "assistant"):
        return "anthropic-messages"
    if kind == "message-start" or (isinstance(document.get("message"), dict) and "finish_reason" in document):
        return "cohere-chat"
    if "candidates" in document or "promptFeedback" in document:
        return "gemini-generate"
    if "messageStart" in document or ("stopReason" in document and "output" in document):
        return "bedrock-converse"
    if isinstance(document.get("message"), dict) and "done" in document:
        return "ollama-chat"
    return "openai-chat" if isinstance(document.get("choices"), list) else None


def _api_of_path(path: str) -> str | None:
    return next((api for api, pattern in _PATHS if pattern.fullmatch(path)), None)


def _first_documents(body: bytes, media_type: str) -> list[JSON]:
    if media_type == EVENT_STREAM:
        lines = [line[5:] for line in body[:200_000].splitlines() if line.startswith(b"data:")][:5]
    else:
        lines = [body, *body[:200_000].splitlines()[:1]]
    documents: list[JSON] = []
    for line in lines:
        try:
            documents.append(msgspec.json.decode(line))
        except (msgspec.DecodeError, RecursionError):
            continue
    return documents
