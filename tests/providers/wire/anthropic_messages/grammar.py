"""The grammar of an Anthropic stream, as a check: what a careful client may rely on."""

from __future__ import annotations

import json
from typing import Any


def events_of(stream: bytes) -> list[dict[str, Any]]:
    """The events' data, after checking their framing: an `event:` line with the type, one data line, a blank line."""
    found = []
    for frame in stream.decode().split("\n\n")[:-1]:
        head, data = frame.split("\n")
        content = json.loads(data.removeprefix("data: "))
        assert head == f"event: {content['type']}"
        found.append(content)
    assert stream.endswith(b"\n\n")
    return found


def check(stream: bytes) -> list[dict[str, Any]]:
    """The events, after checking their order: a start, numbered blocks each ended once, one delta, one stop."""
    events = [event for event in events_of(stream) if event["type"] != "ping"]
    assert events[0]["type"] == "message_start"
    assert [event["type"] for event in events[-2:]] == ["message_delta", "message_stop"]
    begun: list[str] = []
    open_blocks: set[int] = set()
    for event in events[1:-2]:
        match event["type"]:
            case "content_block_start":
                assert event["index"] == len(begun)
                begun.append(event["content_block"]["type"])
                assert all(begun[index] == "tool_use" for index in open_blocks), "only tool calls may overlap"
                open_blocks.add(event["index"])
            case "content_block_delta":
                assert event["index"] in open_blocks
            case "content_block_stop":
                open_blocks.remove(event["index"])
            case other:
                raise AssertionError(f"{other} inside the message")
    assert not open_blocks
    return events
