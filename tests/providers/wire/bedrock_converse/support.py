"""Streams written by hand, what our decoder makes of them, and what botocore's own client does."""

from __future__ import annotations

import json
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import botocore.session
from botocore.config import Config

from providers.model import LLMResponse
from tests.providers.wire.reading import decode as decode_any
from tests.providers.wire.reading import message_of
from tests.support.amazon import event

STREAM = "application/vnd.amazon.eventstream"

START = event("messageStart", {"role": "assistant", "p": "abc"})


def delta(index: int, content: dict[str, Any]) -> bytes:
    return event("contentBlockDelta", {"contentBlockIndex": index, "delta": content, "p": "abcdef"})


def text(index: int, *pieces: str) -> bytes:
    return b"".join(delta(index, {"text": piece}) for piece in pieces) + stop(index)


def start(index: int, content: dict[str, Any]) -> bytes:
    return event("contentBlockStart", {"contentBlockIndex": index, "start": content, "p": "a"})


def stop(index: int) -> bytes:
    return event("contentBlockStop", {"contentBlockIndex": index, "p": "abcd"})


def end(reason: str = "end_turn", usage: dict[str, Any] | None = None, **more: Any) -> bytes:
    usage = usage or {"inputTokens": 3, "outputTokens": 5, "totalTokens": 8}
    metadata = {"usage": usage, "metrics": {"latencyMs": 7}, **more}
    return event("messageStop", {"stopReason": reason}) + event("metadata", metadata)


def decode(body: bytes) -> list[LLMResponse]:
    return decode_any("bedrock-converse", body)


class Answering:
    """A server on a loopback port that answers every POST with the same bytes, and botocore's client pointed at it."""

    def __init__(self, body: bytes, content_type: str = "application/json", status: int = 200) -> None:
        seen = self.seen = list[tuple[str, dict[str, str], bytes]]()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers["content-length"]))
                seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}, data))
                self.send_response(status)
                self.send_header("content-type", content_type)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Answering:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def client(self, token: str | None = None) -> Any:
        """botocore's bedrock-runtime client."""
        session = botocore.session.Session()
        session.set_credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token)
        config = Config(retries={"total_max_attempts": 1}, proxies={})
        return session.create_client(
            "bedrock-runtime", region_name="eu-west-3", endpoint_url=self.url, config=config, verify=False
        )


HI: Any = [{"role": "user", "content": [{"text": "hi"}]}]


def sdk_stream(body: bytes) -> list[dict[str, Any]]:
    """The events that botocore's client reads from a stream. Raises what it raises."""
    with Answering(body, STREAM) as server:
        return list(server.client().converse_stream(modelId="m", messages=HI)["stream"])


def sdk_answer(body: bytes) -> dict[str, Any]:
    with Answering(body) as server:
        return server.client().converse(modelId="m", messages=HI)  # type: ignore[no-any-return]


def blocks_of_sdk_stream(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Content blocks from botocore's events, folded by the rules of the API's reference."""
    blocks: dict[int, dict[str, Any]] = {}
    for one in events:
        if (started := one.get("contentBlockStart")) is not None:
            blocks[started["contentBlockIndex"]] = {"start": started["start"]}
        elif (piece := one.get("contentBlockDelta")) is not None:
            block = blocks.setdefault(piece["contentBlockIndex"], {})
            for kind, value in piece["delta"].items():
                for name, part in value.items() if isinstance(value, dict) and kind != "citation" else [("", value)]:
                    key = f"{kind}.{name}"
                    if isinstance(part, str | bytes):
                        block[key] = block[key] + part if key in block else part
                    else:
                        block.setdefault(key, []).append(part)
    return [blocks[index] for index in sorted(blocks)]


def blocks_of_ours(response: LLMResponse) -> list[dict[str, Any]]:
    """The same from our reading."""
    from providers.model import OpaquePart, ReasoningPart, TextPart, ToolCallPart
    from providers.wire.bedrock_converse.reasoning import encode_redacted

    folded: list[dict[str, Any]] = []
    for part in message_of(response):
        match part:
            case TextPart():
                block: dict[str, Any] = {"text.": part.text} if part.text or not part.citations else {}
                if part.citations:
                    block["citation."] = [citation.raw for citation in part.citations]
                folded.append(block)
            case ReasoningPart(redacted=redacted) if redacted:
                import base64

                blob = encode_redacted(redacted, part.format)
                assert blob is not None
                folded.append({"reasoningContent.redactedContent": base64.b64decode(blob)})
            case ReasoningPart():
                block = {"reasoningContent.text": part.text} if part.text else {}
                if part.signature:
                    block["reasoningContent.signature"] = part.signature
                folded.append(block)
            case ToolCallPart():
                folded.append(
                    {"start": {"toolUse": {"toolUseId": part.id, "name": part.name}}, "input": part.arguments}
                )
            case OpaquePart(kind=kind) if kind != "guardrail":
                block = {"start": json.loads(bytes(part.raw))}
                if part.input:
                    block["toolUse.input"] = part.input
                folded.append(block)
    return folded
