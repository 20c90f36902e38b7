"""Which tool call does a piece belong to? OpenAI numbers calls by `index`; vendors do as they please.

The rules, all of them here:
* an index not seen before is a new call;
* under a known index, another non-empty id is another call (vendors that number every parallel call 0), unless that id
  was seen under the same index before: then it is that call again;
* under a known index, without an id, a call goes on, unless another name comes after arguments have begun;
* without an index, the id decides; without either, a name begins a new call (unless the last one still lacks its own)
  and everything else belongs to the last call.

Ids and names may come late or be repeated; empty ones say nothing. Imports the model.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from providers.model import ToolCallPart
from providers.wire.openai_chat.response_structs import FunctionCall, ToolCall


class _Call:
    __slots__ = ("began", "id", "index", "kind", "name")

    def __init__(self, index: int) -> None:
        self.index = index
        self.id = ""
        self.name = ""
        self.kind: Literal["function", "custom"] = "function"
        self.began = False
        """Whether any of its arguments has come."""


class ToolCallReader:
    """One for each choice. `new_index` gives out the index of the next part of the message."""

    __slots__ = ("_by_id", "_by_index", "_last", "_new_index")

    def __init__(self, new_index: Callable[[], int]) -> None:
        self._new_index = new_index
        self._by_index: dict[int, _Call] = {}
        self._by_id: dict[tuple[int | None, str], _Call] = {}
        self._last: _Call | None = None

    def read(self, pieces: list[ToolCall]) -> list[ToolCallPart]:
        """The parts that say what the pieces say."""
        return [self._read(piece) for piece in pieces]

    def read_legacy(self, piece: FunctionCall) -> list[ToolCallPart]:
        """A `function_call`: the only one of its message, and without an id, so it gets one made from its name."""
        if not piece.name and not piece.arguments:
            return []
        made_id = f"call_{piece.name}" if piece.name else None
        return [self._read(ToolCall(index=0, id=made_id, function=piece))]

    def _read(self, piece: ToolCall) -> ToolCallPart:
        custom = piece.custom
        is_custom = piece.type == "custom" or (piece.function is None and custom is not None)
        if is_custom and custom is not None:
            name, arguments = custom.name or "", custom.input or ""
        elif piece.function is not None:
            name, arguments = piece.function.name or "", _arguments(piece.function)
        else:
            name = arguments = ""
        call = self._find(piece.index, piece.id or "", name)
        if is_custom:
            call.kind = "custom"
        new_id = piece.id if piece.id and not call.id else ""
        if new_id:
            call.id = new_id
            self._by_id[piece.index, new_id] = call
        new_name = name if not call.name else ""
        call.name = call.name or name
        call.began = call.began or bool(arguments)
        self._last = call
        part = ToolCallPart(index=call.index, id=new_id, name=new_name, arguments=arguments, kind=call.kind)
        if piece.extra_content is not None:
            part.signature = piece.extra_content.signature
        return part

    def _find(self, index: int | None, call_id: str, name: str) -> _Call:
        if index is None:
            return self._find_without_index(call_id, name)
        call = self._by_index.get(index)
        if call is None:
            return self._start(index)
        if call_id and call.id and call_id != call.id:
            return self._by_id.get((index, call_id)) or self._start(index)
        if not call_id and name and call.began and name != call.name:
            return self._start(index)
        return call

    def _find_without_index(self, call_id: str, name: str) -> _Call:
        last = self._last
        if call_id:
            known = self._by_id.get((None, call_id))
            if known is not None:
                return known
            return last if last is not None and not last.id and not name else self._start(None)
        if last is None or (name and last.name):
            return self._start(None)
        return last

    def _start(self, index: int | None) -> _Call:
        call = _Call(self._new_index())
        if index is not None:
            self._by_index[index] = call
        return call


def _arguments(function: FunctionCall) -> str:
    arguments = function.arguments
    if not arguments:
        # An empty object is a complete set of arguments; nothing at all is not.
        return "{}" if isinstance(arguments, dict) else ""
    return arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()
