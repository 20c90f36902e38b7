"""A whole answer for an OpenAI client (`chat.completion`). Does no I/O."""

from __future__ import annotations

from typing import Any

from providers.model import (
    AssistantMessage,
    AudioPart,
    Choice,
    ImagePart,
    LLMRequest,
    LLMResponse,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    part_kind,
    with_signature_blocks,
)
from providers.wire.openai_chat.answer_parts import (
    ENCODER,
    answer_head,
    answer_image,
    default_finish_reason,
    make_call_id,
    message_annotations,
    tool_call,
)
from providers.wire.openai_chat.reasoning import needs_detail, part_detail
from providers.wire.openai_chat.usage import encode_usage

_SAID = TextPart | RefusalPart | ReasoningPart | ToolCallPart | AudioPart | ImagePart


def encode_response(response: LLMResponse, request: LLMRequest) -> bytes:
    """The answer's body. What this API has no place for (opaque parts, files) goes into `notes.unsaid`."""
    body = answer_head(response, request, "chat.completion")
    body["choices"] = [_choice(choice, request.notes.unsaid) for choice in response.choices]
    if response.usage is not None:
        body["usage"] = encode_usage(response.usage)
    return ENCODER.encode(body)


def _choice(choice: Choice, unsaid: list[str]) -> dict[str, Any]:
    message = choice.message or AssistantMessage(content=choice.delta.content if choice.delta else [])
    return {
        "index": choice.index,
        "message": _message(message.content, unsaid),
        "logprobs": choice.logprobs,
        "finish_reason": choice.finish_reason or default_finish_reason(bool(message.tool_calls)),
    }


def _message(parts: list[Part], unsaid: list[str]) -> dict[str, Any]:
    texts = [part.text for part in parts if isinstance(part, TextPart)]
    refusals = [part.text for part in parts if isinstance(part, RefusalPart)]
    calls = [tool_call(part, part.id or make_call_id()) for part in parts if isinstance(part, ToolCallPart)]
    audios = [part for part in parts if isinstance(part, AudioPart)]
    content: str | None = "".join(texts)
    if not texts and (calls or refusals or audios):
        content = None
    message: dict[str, Any] = {
        "role": "assistant",
        "content": content,
        "refusal": "".join(refusals) if refusals else None,
    }
    # A call has a place of its own for its signature.
    signed = with_signature_blocks(part for part in parts if isinstance(part, ReasoningPart | TextPart))
    _add_reasoning([part for part in signed if isinstance(part, ReasoningPart)], message)
    if calls:
        message["tool_calls"] = calls
    if audios:
        message["audio"] = _audio(audios[0])
    images = [answer_image(part) for part in parts if isinstance(part, ImagePart)]
    if shown := [image for image in images if image is not None]:
        message["images"] = shown
    cited, uncited = message_annotations(parts)
    if cited:
        message["annotations"] = cited
    unsaid += [part_kind(part) for part in parts if not isinstance(part, _SAID)]
    unsaid += ["image"] * images.count(None) + ["audio"] * len(audios[1:]) + ["citation"] * uncited
    return message


def _add_reasoning(parts: list[ReasoningPart], message: dict[str, Any]) -> None:
    text = "".join(part.text for part in parts)
    if text:
        message["reasoning_content"] = text
    kept = [part for part in parts if needs_detail(part)]
    if kept:
        message["reasoning_details"] = [part_detail(part, index) for index, part in enumerate(kept)]


def _audio(part: AudioPart) -> dict[str, Any]:
    return {
        "id": part.id or "",
        "data": part.data,
        "expires_at": part.expires_at or 0,
        "transcript": part.transcript,
    }
