"""Media of tool results move into a user message right after the tool messages."""

from __future__ import annotations

from providers.model import FilePart, ImagePart, Message, TextPart, ToolResultPart
from providers.wire.tool_media import move_media_out_of_results

IMAGE = ImagePart(data="AAAA", media_type="image/png")


def test_results_keep_their_text_and_the_pictures_follow() -> None:
    messages = [
        Message(role="user", content=[TextPart(text="look"), IMAGE]),
        Message(role="tool", content=[ToolResultPart(tool_call_id="a", content=[TextPart(text="two"), IMAGE])]),
        Message(role="tool", content=[ToolResultPart(tool_call_id="b", content=[IMAGE], is_error=True)]),
        Message(role="tool", content=[ToolResultPart(tool_call_id="c", content=[FilePart(text="plain")])]),
        Message(role="assistant", content=[TextPart(text="well")]),
    ]
    before = [message for message in messages]  # noqa: C416 - the list itself must not change either
    moved = move_media_out_of_results(messages)
    assert [message.role for message in moved] == ["user", "tool", "tool", "tool", "user", "assistant"]
    assert moved[0] is messages[0]
    assert moved[1].content == [ToolResultPart(tool_call_id="a", content=[TextPart(text="two")])]
    told = TextPart(text="The result is in the next user message.")
    assert moved[2].content == [ToolResultPart(tool_call_id="b", content=[told], is_error=True)]
    assert moved[3] is messages[3]
    first, second = TextPart(text="Result of tool call a:"), TextPart(text="Result of tool call b:")
    assert moved[4].content == [first, IMAGE, second, IMAGE]
    assert messages == before


def test_results_at_the_end_have_them_at_the_end() -> None:
    moved = move_media_out_of_results(
        [Message(role="tool", content=[ToolResultPart(tool_call_id="a", content=[IMAGE])])]
    )
    assert [message.role for message in moved] == ["tool", "user"]
