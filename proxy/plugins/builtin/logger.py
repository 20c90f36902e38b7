"""`logger`: a record of each request, with what was asked and answered if one wants that. Imports the SDK.

The gateway's own log never holds a word of a conversation. This plugin does so where it is told to, into the log or
into a file of JSON lines, one record for each request, failed and abandoned ones included. It runs when the request is
over, so no client waits for it.

What plugins hide is hidden here too, whatever their priority and whatever the client was shown. Of a request that one
of them has not seen no words are recorded.
"""

from __future__ import annotations

import os
import threading
from functools import partial
from typing import Any, Literal

import msgspec
import trio

from providers.extension import Config, extension
from providers.model import LLMResponse, Message, Part, ReasoningPart, RefusalPart, TextPart, ToolCallPart
from providers.model.content import ToolResultPart
from proxy.observe.logs import get_logger
from proxy.plugins.base import Plugin
from proxy.plugins.context import PluginContext
from proxy.plugins.result import PluginResult

Content = Literal["none", "request", "response", "both"]


class Settings(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    content: Content = "none"
    max_chars: int = 10_000
    file: str | None = None
    metadata: bool = True


SCHEMA = {
    "type": "object",
    "properties": {
        "content": {
            "enum": ["none", "request", "response", "both"],
            "default": "none",
            "description": "Whose words are recorded: nobody's, the client's, the model's, or both. What plugins hide "
            "is hidden here too; of requests that such a plugin has not seen, no words are recorded.",
        },
        "maxChars": {
            "type": "integer",
            "minimum": 1,
            "default": 10_000,
            "description": "Of each text only so many characters are recorded.",
        },
        "file": {
            "type": "string",
            "format": "path",
            "minLength": 1,
            "description": "A file of JSON lines to append to, relative to the configuration file; it may be moved "
            "away at any time, a new one is begun. Default: the gateway's log.",
        },
        "metadata": {
            "type": "boolean",
            "default": True,
            "description": "Record the metadata that plugins left.",
        },
    },
    "additionalProperties": False,
}


class RecordFile:
    """A file of lines that is appended to, wherever its name leads at that moment. All of it blocks.

    Raises OSError, whose text holds nothing of a line.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._whole = True
        """The last line was written to its end."""
        self._file = self._open()

    def append(self, line: bytes) -> None:
        """Write a line, or as much of it as fits."""
        with self._lock:
            if self._moved():
                self._close()
                self._file, self._whole = self._open(), True
            left = memoryview(line + b"\n" if self._whole else b"\n" + line + b"\n")
            self._whole = False
            while left:
                left = left[os.write(self._file, left) :]
            self._whole = True

    def close(self) -> None:
        with self._lock:
            self._close()

    def _close(self) -> None:
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)

    def _moved(self) -> bool:
        if self._file < 0:
            return True
        try:
            named = os.stat(self._path)
        except FileNotFoundError:
            return True
        return not os.path.samestat(named, os.fstat(self._file))


@extension(
    name="logger",
    version="1.0.0",
    description="Records requests, with their words if told to",
    configuration_schema=SCHEMA,
)
class Logger(Plugin):
    _file: RecordFile | None = None

    async def configure(self, config: Config) -> None:
        self._settings = msgspec.convert(config, Settings)
        if self._settings.file is not None:
            # Opened now, so that a path that cannot be written stops the start and not the first record.
            self._file = await trio.to_thread.run_sync(partial(RecordFile, self._settings.file))

    async def aclose(self) -> None:
        if self._file is not None:
            await trio.to_thread.run_sync(self._file.close)

    async def detached_after_response(self, context: PluginContext) -> PluginResult | None:
        record = self._record_of(context)
        if self._file is None:
            get_logger().info("exchange", **record)
        else:
            # A slow disk holds a thread up, never the loop.
            await trio.to_thread.run_sync(self._file.append, msgspec.json.encode(record))
        return None

    def _record_of(self, context: PluginContext) -> dict[str, Any]:
        settings = self._settings
        request, response = context.request, context.recorded_response
        record: dict[str, Any] = {
            "request_id": context.request_id,
            "project": context.project,
            "api": context.adapter,
            "operation": context.operation,
            "model": request.model,
            "served_by": context.served_model,
            "provider": context.target_model_provider,
            "status": context.status,
            "user_id": context.user_id,
            "key_id": context.key_id,
            "experiment": context.experiment_id,
            "variant": context.experiment_variant,
            "departed": context.departed,
            "error": context.error.kind.value if context.error is not None else None,
            **context.metrics,
        }
        usage = context.response.usage if context.response is not None else None
        if usage is not None:
            record["usage"] = msgspec.json.decode(msgspec.json.encode(usage))  # may hold JSON as it came
        if settings.metadata and context.metadata:
            record["metadata"] = context.metadata
        if settings.content != "none" and not context.may_be_recorded:
            record["left_out"] = "a plugin that hides has not seen the request"
        elif settings.content in ("request", "both"):
            record["messages"] = [self._message(message) for message in request.messages]
        if settings.content in ("response", "both") and response is not None:
            record["answer"] = self._answer(response)
        return {name: value for name, value in record.items() if value is not None}

    def _message(self, message: Message) -> dict[str, Any]:
        return {"role": message.role, "content": self._parts(message.content)}

    def _answer(self, response: LLMResponse) -> list[dict[str, Any]]:
        return [
            {"content": self._parts(choice.message.content), "finish_reason": choice.finish_reason}
            for choice in response.choices
            if choice.message is not None
        ]

    def _parts(self, parts: list[Part]) -> list[dict[str, Any]]:
        """What parts say; of pictures and the like only that they were there."""
        return [self._part(part) for part in parts]

    def _part(self, part: Part) -> dict[str, Any]:
        kind: str = type(part).__struct_config__.tag  # type: ignore[assignment]
        match part:
            case TextPart() | ReasoningPart() | RefusalPart():
                return {"type": kind, "text": self._cut(part.text)}
            case ToolCallPart():
                return {"type": kind, "id": part.id, "name": part.name, "arguments": self._cut(part.arguments)}
            case ToolResultPart():
                return {"type": kind, "id": part.tool_call_id, "content": self._parts(part.content)}
        return {"type": kind}

    def _cut(self, text: str) -> str:
        limit = self._settings.max_chars
        return text if len(text) <= limit else f"{text[:limit]} [{len(text) - limit} more characters]"
