"""The messages of a request in a vendor's dialect, in either lane; see `dialect_request`. Does no I/O."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import msgspec

from providers.model import Message
from providers.wire.base import Translation
from providers.wire.openai_chat.dialect import Dialect

Body = dict[str, Any]

VendorPatch = Callable[[Body, Translation], bool]
"""Changes one message in place into what the vendor takes; whether it did."""

_MESSAGES = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


def plain(value: Any) -> Any:
    """A body's value as a plain object."""
    return msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value


def patch_messages(
    body: Body, messages: list[Message], translation: Translation, dialect: Dialect, patch: VendorPatch | None
) -> None:
    """Change `body["messages"]`. `messages` are the same in the model; `patch` is the vendor's own rule, if it has one.

    Messages that the client wrote keep their bytes, but for the fields that the vendor would not take.
    """
    wire = body["messages"]
    relayed = isinstance(wire, msgspec.Raw)
    if relayed:
        if patch is None and not _needs_change(messages, dialect):
            return
        wire = _MESSAGES.decode(wire)
    changed = not relayed
    for message in wire:
        role = plain(message.get("role"))
        if role == "developer" and dialect.developer_role == "system":
            message["role"] = "system"
            changed = True
        if not dialect.message_names and role != "function" and plain(message.get("name")) is not None:
            del message["name"]
            translation.drop("messages[].name")
            changed = True
        if not relayed and role == "assistant":
            _place_reasoning(message, dialect)
        if patch is not None and patch(message, translation):
            changed = True
    if dialect.assistant_after_tool:
        changed = _bridge(wire) or changed
    if dialect.assistant_prefix and not relayed and _is_beginning(wire[-1]):
        wire[-1]["prefix"] = True
    if changed:
        body["messages"] = wire


def _needs_change(messages: list[Message], dialect: Dialect) -> bool:
    roles = dialect.developer_role == "system"
    names = not dialect.message_names
    order = dialect.assistant_after_tool
    return any((roles and m.role == "developer") or (names and m.name is not None) for m in messages) or (
        order and any((a.role, b.role) == ("tool", "user") for a, b in itertools.pairwise(messages))
    )


def _bridge(wire: list[Body]) -> bool:
    """Put the assistant between each tool and the user right after it; whether there were any."""
    places = [
        place
        for place, (before, after) in enumerate(itertools.pairwise(wire), 1)
        if plain(before.get("role")) == "tool" and plain(after.get("role")) == "user"
    ]
    for place in reversed(places):
        wire.insert(place, {"role": "assistant", "content": "Done."})
    return bool(places)


def _is_beginning(message: Body) -> bool:
    """Whether a message that is the last is the beginning of the answer."""
    return plain(message.get("role")) == "assistant" and not plain(message.get("tool_calls"))


def _place_reasoning(message: Body, dialect: Dialect) -> None:
    """The encoder writes `reasoning_content`, and `reasoning_details` for what is signed."""
    field = dialect.reasoning_returned
    if field is None or field == "reasoning_details":
        return
    message.pop("reasoning_details", None)
    text = message.pop("reasoning_content", None)
    if not text:
        return
    if field == "thinking":
        set_thinking(message, text)
    else:
        message[field] = text


def set_thinking(message: Body, text: str) -> None:
    """Put reasoning before a message's content, as a part of it (https://docs.mistral.ai/capabilities/reasoning/)."""
    content = plain(message.get("content"))
    parts = [{"type": "text", "text": content}] if isinstance(content, str) and content else content or []
    message["content"] = [{"type": "thinking", "thinking": [{"type": "text", "text": text}]}, *parts]
