"""Mistral's dialect: a closed list of parameters, content as a list, reasoning as a part of it. Does no I/O.

Source: https://docs.mistral.ai/api/ (Chat) and the models of the vendor's Python SDK. Whatever stands outside of them,
in the body or in a message, is answered with 422 `extra_forbidden`, `max_completion_tokens` for one. The order of roles
is checked too: "Unexpected role 'user' after role 'tool'", and a last message of the assistant's only with `prefix`.
"""

from __future__ import annotations

import hashlib
import re
import string
from typing import Any

import msgspec

from providers.wire.base import Translation
from providers.wire.data_url import join_data_url
from providers.wire.media_types import media_type_of_name
from providers.wire.openai_chat.dialect import Dialect
from providers.wire.openai_chat.dialect_messages import Body, plain, set_thinking

DIALECT = Dialect(
    max_tokens="max_tokens",
    developer_role="system",
    assistant_after_tool=True,
    assistant_prefix=True,
    stream_options=False,
    tool_parameters=True,
    document_urls=True,
    renames={"seed": "random_seed"},
    accepts=frozenset(
        {
            "temperature",
            "top_p",
            "max_tokens",
            "max_completion_tokens",
            "min_tokens",
            "stop",
            "seed",
            "random_seed",
            "metadata",
            "response_format",
            "tools",
            "tool_choice",
            "presence_penalty",
            "frequency_penalty",
            "repetition_penalty",
            "top_k",
            "logprobs",
            "top_logprobs",
            "prompt_logprobs",
            "top_prompt_logprobs",
            "n",
            "prediction",
            "parallel_tool_calls",
            "reasoning_effort",
            "prompt_mode",
            "guardrails",
            "prompt_cache_key",
            "service_tier",
            "safe_prompt",
        }
    ),
    beyond=frozenset({"top_k"}),
    reasoning_returned="thinking",
)

EMBEDDING_DIALECT = Dialect(
    renames={"dimensions": "output_dimension"},
    accepts=frozenset({"dimensions", "output_dimension", "output_dtype", "encoding_format", "metadata"}),
)

_URLS = ("data:", "https://", "http://")

_FIELDS = {
    "system": frozenset({"role", "content"}),
    "user": frozenset({"role", "content"}),
    "assistant": frozenset({"role", "content", "tool_calls", "prefix"}),
    "tool": frozenset({"role", "content", "tool_call_id", "name"}),
}

_CALL_ID = re.compile(r"[a-zA-Z0-9]{9}")
_DIGITS = string.digits + string.ascii_letters
_CALLS: msgspec.json.Decoder[Any] = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


def call_id(given: str) -> str:
    """A tool call's id as Mistral takes it: nine letters and digits. One that is so already stays.

    The same id gives the same one in every request, so that calls and their results still fit together.
    """
    if _CALL_ID.fullmatch(given):
        return given
    number = int.from_bytes(hashlib.sha256(given.encode()).digest()[:8])
    letters = []
    for _ in range(9):
        number, digit = divmod(number, len(_DIGITS))
        letters.append(_DIGITS[digit])
    return "".join(letters)


def patch_message(message: Body, translation: Translation) -> bool:
    """Change one message in place into what Mistral takes; whether it was another before."""
    role = plain(message.get("role"))
    changed = _patch_parts(message)
    if role == "assistant":
        changed |= _patch_assistant(message, translation)
    if role == "tool":
        given = plain(message.get("tool_call_id"))
        if isinstance(given, str) and call_id(given) != given:
            message["tool_call_id"] = call_id(given)
            changed = True
    fields = _FIELDS.get(role)
    for name in [] if fields is None else [name for name in message if name not in fields]:
        if plain(message.pop(name)) not in (None, [], ""):  # SDKs send what they got, empty fields and all
            translation.drop(f"messages[].{name}")
        changed = True
    return changed


def _patch_assistant(message: Body, translation: Translation) -> bool:
    changed = False
    reasoning = [text for name in ("reasoning_content", "reasoning") if (text := plain(message.pop(name, None)))]
    if reasoning and not _has_thinking(message):
        set_thinking(message, reasoning[0])
        changed = True
    for name in ("function_call", "audio"):
        if plain(message.get(name)) is not None:
            translation.refuse(f"messages[].{name}")
    refusal = plain(message.get("refusal"))
    if refusal and not plain(message.get("content")):
        message["content"] = refusal
        del message["refusal"]
        changed = True
    return _patch_calls(message) or changed or bool(reasoning)


def _has_thinking(message: Body) -> bool:
    content = plain(message.get("content"))
    return isinstance(content, list) and any(part.get("type") == "thinking" for part in content)


def _patch_calls(message: Body) -> bool:
    given_calls: Any = message.get("tool_calls")
    if plain(given_calls) is None:
        return False
    calls: list[Body] = _CALLS.decode(given_calls) if isinstance(given_calls, msgspec.Raw) else given_calls
    changed = False
    for call in calls:
        given = plain(call.get("id"))
        if isinstance(given, str) and call_id(given) != given:
            call["id"] = call_id(given)
            changed = True
    if changed:
        message["tool_calls"] = calls
    return changed


def _patch_parts(message: Body) -> bool:
    """OpenAI's audio, files and refusals, as Mistral spells them."""
    content = plain(message.get("content"))
    if not isinstance(content, list):
        return False
    parts = [_part(part) for part in content]
    if parts == content:
        return False
    message["content"] = parts
    return True


def _part(part: dict[str, Any]) -> dict[str, Any]:
    match part:
        case {"type": "input_audio", "input_audio": {"data": data}}:
            return {"type": "input_audio", "input_audio": data}
        case {"type": "file", "file": {"file_data": str() as data, **rest}}:
            name = rest.get("filename") or None
            if not data.startswith(_URLS):  # bare base64
                told = media_type_of_name(name, "application/pdf") if isinstance(name, str) else "application/pdf"
                data = join_data_url(told, data)
            title = {"document_name": name} if name is not None else {}
            return {"type": "document_url", "document_url": data, **title}
        case {"type": "file", "file": {"file_id": str() as file_id}}:
            return {"type": "file", "file_id": file_id}
        case {"type": "refusal", "refusal": text}:
            return {"type": "text", "text": text}
        case _:
            return part
