"""Images and files in tool results, for wires whose tool messages hold only text. Imports the model.

They go into a user message right after the tool messages, under a line that says whose they are.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from providers.model import AudioPart, FilePart, ImagePart, Message, Part, TextPart, ToolResultPart


def move_media_out_of_results(messages: Iterable[Message]) -> list[Message]:
    """The messages with only text in their tool results. Changes none of those that it is given."""
    moved: list[Message] = []
    seen: list[Part] = []
    for message in messages:
        results = [part for part in message.content if isinstance(part, ToolResultPart)]
        if not results and seen:
            moved.append(Message(role="user", content=seen))
            seen = []
        if not any(_is_media(inner) for result in results for inner in result.content):
            moved.append(message)
            continue
        content: list[Part] = []
        for part in message.content:
            if isinstance(part, ToolResultPart) and any(_is_media(inner) for inner in part.content):
                seen += [TextPart(text=f"Result of tool call {part.tool_call_id}:"), *filter(_is_media, part.content)]
                content.append(_text_only(part))
            else:
                content.append(part)
        moved.append(msgspec.structs.replace(message, content=content))
    if seen:
        moved.append(Message(role="user", content=seen))
    return moved


def _is_media(part: Part) -> bool:
    return isinstance(part, ImagePart | AudioPart) or (isinstance(part, FilePart) and part.text is None)


def _text_only(part: ToolResultPart) -> ToolResultPart:
    texts = [inner for inner in part.content if not _is_media(inner)]
    told: list[Part] = [TextPart(text="The result is in the next user message.")]
    return msgspec.structs.replace(part, content=texts or told)
