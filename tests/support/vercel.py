"""The Vercel AI SDK as a client: `tests/node/ask.mjs`, run by node, and what its results say as `Facts`."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec
import trio

from conformance.facts import Facts, Usage

NODE = Path(__file__).parents[1] / "node"
OLDEST_NODE = 18

Package = Literal["openai", "openai-compatible", "anthropic", "google"]
FINISH = {"tool-calls": "tool_calls", "content-filter": "content_filter"}
"""The SDK's words in OpenAI's, where they differ."""


class Job(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One question. `ask.mjs` says what the fields mean."""

    sdk: Package
    api: str
    base_url: str = msgspec.field(name="baseURL")
    model: str
    stream: bool
    prompt: str
    tools: tuple[str, ...] = ()


class Result(msgspec.Struct, kw_only=True, rename="camel"):
    """What the SDK built of one answer."""

    text: str = ""
    reasoning: str = ""
    tool_calls: list[dict[str, Any]] = []
    finish_reason: str | None = None
    usage: dict[str, Any] = {}
    parts: list[Any] = []
    """Everything that it yielded or holds, less times and headers."""
    error: dict[str, Any] | None = None

    def facts(self) -> Facts:
        return Facts(
            text=self.text,
            reasoning=self.reasoning,
            tool_calls=[(call["name"], call["input"]) for call in self.tool_calls],
            finish=FINISH.get(self.finish_reason or "", self.finish_reason),
            usage=Usage(input=self.usage.get("inputTokens"), output=self.usage.get("outputTokens")),
        )


@cache
def why_not() -> str:
    """Why it cannot be asked here; empty: it can."""
    if shutil.which("node") is None:
        return "node is not installed"
    found = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout.strip()
    if int(found.lstrip("v").partition(".")[0] or 0) < OLDEST_NODE:
        return f"the Vercel AI SDK needs node {OLDEST_NODE} or newer, this is {found or 'none'}"
    if not (NODE / "node_modules" / "ai").is_dir():
        return "the Vercel AI SDK is not installed (make node-clients)"
    return ""


async def ask(jobs: Sequence[Job]) -> list[Result]:
    """All questions in one process; the results in their order. Cancellation ends the process."""
    if not jobs:
        return []
    command = ["node", str(NODE / "ask.mjs")]
    with trio.fail_after(300):
        finished = await trio.run_process(command, stdin=msgspec.json.encode(jobs), capture_stdout=True)
    return msgspec.json.decode(finished.stdout, type=list[Result])


def versions() -> dict[str, str]:
    """Of the SDK's packages, as installed."""
    wanted = json.loads((NODE / "package.json").read_text())["dependencies"]
    return {
        name: json.loads((NODE / "node_modules" / name / "package.json").read_text())["version"]
        for name in sorted(wanted)
    }
