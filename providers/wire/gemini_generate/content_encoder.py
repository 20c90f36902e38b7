"""Messages of the model as `systemInstruction` and `contents`. Imports the model and its neighbours.

* System and developer messages become the system instruction, wherever they stand: the API has no other place.
* Neighbouring results of functions are one content, and so are neighbouring messages of the model, as the API demands.
* Reasoning goes back to Google only if Google signed it. A signature that lost its part on another API's wire (see
  `GOOGLE_SIGNATURE`) goes to the text or call after it that has none; at the end it stands alone, as Google sends it.
* Gemini 3 refuses a turn whose first function call is not signed. For a call that Google never signed, or whose client
  did not keep the signature, Google names a stand-in.

What becomes of the rest:

| what | becomes |
|---|---|
| an image or a file in a function's result | a part of it with Gemini 3, in a content after it with earlier ones |
| one by its URL | on Vertex the same; AI Studio takes none in a result, so all of its media go after it |
| reasoning that another provider signed, or nobody | dropped |
| a file at a URL | `fileData` with that URL |
| a file stored with another provider | refused |
| `cache_control`, `detail`, a document's name, `context` and `citations`, citations of a text | dropped |
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Raw

from providers.errors import RequestError
from providers.model import (
    GOOGLE_SIGNATURE,
    AudioPart,
    FilePart,
    ImagePart,
    LLMRequest,
    Message,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from providers.wire.base import Translation
from providers.wire.data_url import split_data_url
from providers.wire.extra_fields import Extra, put_back
from providers.wire.gemini_generate.function_result import write_response
from providers.wire.gemini_generate.media import audio_type, file_data, inline_data
from providers.wire.gemini_generate.signatures import VALIDATOR_SKIPPED
from providers.wire.gemini_generate.structs import API
from providers.wire.gemini_generate.thinking import thinks_in_levels
from providers.wire.json_text import json_object
from providers.wire.media_types import media_type_of_name, media_type_of_url

WireObject = dict[str, Any]
WirePart = WireObject | Raw


class ContentEncoder:
    """Encodes the messages of one request. `on_vertex`: for Vertex AI, else for AI Studio."""

    def __init__(self, request: LLMRequest, model: str, translation: Translation, *, on_vertex: bool) -> None:
        self._translation = translation
        self._own = request.metadata.api in ("", API)
        self._is_gemini_3 = thinks_in_levels(model)
        self._urls_in_results = on_vertex or self._own
        self._names: dict[str, str] = {}
        """Names of the functions that were called, by the call's id: a result needs it."""
        self._system: list[WirePart] = []
        self._contents: list[WireObject] = []
        self._seen: list[WirePart] = []
        """Media of results that wait for the end of the results."""

    def encode(self, messages: list[Message]) -> tuple[list[WirePart], list[WireObject]]:
        """The parts of the system instruction, and the contents. Raises `RequestError` if there is nothing to send."""
        for message in messages:
            if message.name is not None:
                self._translation.drop("messages[].name")
            if message.role in ("system", "developer"):
                self._system += self._parts(message.content)
            elif message.role == "assistant":
                self._add("model", self._answer(message.content), message.extra)
            elif message.role == "tool":
                results = [part for part in message.content if isinstance(part, ToolResultPart)]
                self._add("user", [self._result(part) for part in results], message.extra, results=True)
            else:
                self._add("user", self._parts(message.content), message.extra)
        self._add_seen()
        if not self._contents:
            param = self._translation.spell("messages")
            raise RequestError(f"'{param}': at least one message with content is required", param=param)
        for content in self._contents:
            content.pop("results", None)
        return self._system, self._contents

    def _add(self, role: str, parts: list[WirePart], extra: Extra | None, *, results: bool = False) -> None:
        if not results:
            self._add_seen()
        if not parts:
            return
        last = self._contents[-1] if self._contents else None
        if last is not None and last["role"] == role and (role == "model" or (results and "results" in last)):
            last["parts"] += parts
            self._put_back(last, extra)
            return
        content: WireObject = {"role": role, "parts": parts}
        self._put_back(content, extra)
        if results:
            content["results"] = True
        self._contents.append(content)

    def _add_seen(self) -> None:
        if self._seen:
            self._contents.append({"role": "user", "parts": self._seen})
            self._seen = []

    # -- the model's turns --------------------------------------------------------------------------------------------

    def _answer(self, parts: list[Part]) -> list[WirePart]:
        wires: list[WirePart] = []
        pending = ""
        for part in parts:
            if isinstance(part, ReasoningPart):
                loose = self._loose_signature(part)
                if loose:
                    if pending:
                        wires.append(_signed({"text": ""}, pending))
                    pending = loose
                else:
                    wires += self._thought(part)
                continue
            found = self._part(part)
            if found is None:
                continue
            if pending and isinstance(part, TextPart | ToolCallPart) and not part.signature:
                assert isinstance(found, dict)
                found = _signed(found, pending)
                pending = ""
            wires.append(found)
        if pending:
            wires.append(_signed({"text": ""}, pending))
        if self._is_gemini_3 and not self._own:
            _sign_first_call(wires)
        return wires

    def _loose_signature(self, part: ReasoningPart) -> str:
        """Google's signature of another part, which came back as a block of its own."""
        return part.signature if part.format == GOOGLE_SIGNATURE and not part.text else ""

    def _thought(self, part: ReasoningPart) -> list[WirePart]:
        is_googles = part.format == GOOGLE_SIGNATURE and bool(part.signature)
        unsigned = not (part.signature or part.redacted)
        if is_googles or (self._own and unsigned and part.text):
            thought = _signed({"text": part.text, "thought": True}, part.signature)
            self._put_back(thought, part.extra)
            return [thought]
        self._translation.drop("messages[].content[reasoning]")
        return []

    # -- results of functions -----------------------------------------------------------------------------------------

    def _result(self, part: ToolResultPart) -> WireObject:
        name = self._names.get(part.tool_call_id)
        if name is None:
            param = self._translation.spell("messages")
            raise RequestError(
                f"'{param}': the result for '{part.tool_call_id}' answers no tool call before it", param=param
            )
        if part.cache_control is not None:
            self._translation.drop("messages[].content[].cache_control")
        texts = [inner for inner in part.content if isinstance(inner, TextPart | RefusalPart)]
        others = [inner for inner in part.content if not isinstance(inner, TextPart | RefusalPart)]
        media = self._parts(others)
        text = "".join(inner.text for inner in texts)
        response = write_response(text, is_error=part.is_error)
        result: WireObject = {"id": part.tool_call_id, "name": name, "response": response}
        fit = self._urls_in_results or not any("fileData" in wire for wire in media)
        if media and fit and (self._is_gemini_3 or self._own):
            result["parts"] = media
        elif media:
            self._seen += [{"text": f"Result of tool call {part.tool_call_id}:"}, *media]
        wire = {"functionResponse": result}
        self._put_back(wire, part.extra)
        return wire

    # -- parts --------------------------------------------------------------------------------------------------------

    def _parts(self, parts: Iterable[Part]) -> list[WirePart]:
        return [wire for part in parts if (wire := self._part(part)) is not None]

    def _put_back(self, wire: WireObject, extra: Extra | None) -> None:
        if self._own:
            put_back(wire, extra)

    def _part(self, part: Part) -> WirePart | None:
        wire = self._bare_part(part)
        if isinstance(wire, dict):
            self._put_back(wire, part.extra)
        return wire

    def _bare_part(self, part: Part) -> WirePart | None:
        if part.cache_control is not None:
            self._translation.drop("messages[].content[].cache_control")
        match part:
            case TextPart():
                if part.citations:
                    self._translation.drop("messages[].content[text].citations")
                return _signed({"text": part.text}, part.signature) if part.text or part.signature else None
            case RefusalPart():
                return {"text": part.text} if part.text else None
            case ToolCallPart():
                return self._call(part)
            case ImagePart():
                return self._image(part)
            case AudioPart():
                return self._audio(part)
            case FilePart():
                return self._file(part)
            case OpaquePart():
                return part.raw  # `messages_for` leaves only this API's own
            case ReasoningPart():
                self._translation.drop("messages[].content[reasoning]")
            case ToolResultPart():
                self._translation.refuse("messages[].content[tool_result]", "not in this kind of message")
        return None

    def _call(self, part: ToolCallPart) -> WireObject:
        if part.kind == "custom":
            self._translation.refuse("messages[].tool_calls[].custom", "its tools take a JSON object")
            args: Raw | None = Raw(msgspec.json.encode({"input": part.arguments}))
        else:
            args = json_object(part.arguments or "{}")
        if args is None:
            param = self._translation.spell("messages[].tool_calls[].function.arguments")
            raise RequestError(f"'{param}': expected a JSON object in the call '{part.id}'", param=param)
        self._names[part.id] = part.name
        return _signed({"functionCall": {"id": part.id, "name": part.name, "args": args}}, part.signature)

    def _image(self, part: ImagePart) -> WireObject | None:
        if part.detail not in (None, "auto"):
            self._translation.drop("messages[].content[image].detail")
        inline = split_data_url(part.url) if part.url is not None else None
        if inline is not None:
            return inline_data(inline[1], inline[0] or part.media_type or "image/png")
        if part.data is not None:
            return _signed(inline_data(part.data, part.media_type or "image/png"), part.signature)
        return self._reference(part, "image/jpeg", "image")

    def _audio(self, part: AudioPart) -> WireObject | None:
        if part.data:
            return inline_data(part.data, audio_type(part))
        self._translation.refuse("messages[].audio", "the answer it speaks of is stored with another provider")
        return None

    def _file(self, part: FilePart) -> WireObject | None:
        if part.context is not None:
            self._translation.drop("messages[].content[document].context")
        if part.citations:
            self._translation.drop("messages[].content[document].citations")
        name = part.filename
        if name is not None and not self._own:  # only Vertex takes one
            self._translation.drop("messages[].content[file].filename")
            name = None
        if part.text is not None:
            return inline_data(base64.b64encode(part.text.encode()).decode(), "text/plain", name)
        url = part.data if part.data is not None else part.url
        inline = split_data_url(url) if url is not None else None
        media_type = part.media_type or media_type_of_name(part.filename, "application/pdf")
        if inline is not None:
            return inline_data(inline[1], inline[0] or media_type, name)
        if part.data is not None:
            return inline_data(part.data, media_type, name)
        return self._reference(part, "application/pdf", "file", name)

    def _reference(
        self, part: ImagePart | FilePart, default: str, kind: str, name: str | None = None
    ) -> WireObject | None:
        if part.url is not None:
            media_type = part.media_type
            if media_type is None and not self._own:
                media_type = media_type_of_url(part.url, default)
            return file_data(part.url, media_type, name)
        if part.file_id is not None and self._own:
            return file_data(part.file_id, part.media_type, name)
        self._translation.refuse(f"messages[].content[{kind}].file_id", "the file is stored with another provider")
        return None


def _signed(part: WireObject, signature: str) -> WireObject:
    return {**part, "thoughtSignature": signature} if signature else part


def _sign_first_call(wires: list[WirePart]) -> None:
    """Give the first call of a turn the stand-in for a signature, if no call has one."""
    calls = [(place, wire) for place, wire in enumerate(wires) if isinstance(wire, dict) and "functionCall" in wire]
    if calls and not any("thoughtSignature" in wire for _, wire in calls):
        place, first = calls[0]
        wires[place] = _signed(first, VALIDATOR_SKIPPED)
