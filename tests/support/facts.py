"""What an answer says, whatever API says it: text, reasoning, tool calls, finish reason, usage.

The readings here are made from what the official SDKs yield and know nothing of the gateway's own code, so that they
can stand as oracles for translation.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import msgspec

from conformance.wires.gemini_generate import facts_of_answers

ANTHROPIC_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
OPENAI_FINISH = {"function_call": "tool_calls", "eos": "stop", "end_turn": "stop", "": None}


class Facts(msgspec.Struct, kw_only=True):
    text: str = ""
    reasoning: str = ""
    signatures: list[str] = []
    redacted: list[str] = []
    tool_calls: list[tuple[str, Any]] = []
    """Name and arguments; the arguments as data, or as text if they are not JSON (a call that was cut)."""
    finish: str | None = None
    """In OpenAI's words."""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    failed: bool = False
    """The SDK raised."""


def _arguments(text: str) -> Any:
    try:
        return _plain(json.loads(text or "{}"))
    except ValueError:
        return text


def _plain(arguments: Any) -> Any:
    """A custom tool's free text, which APIs without such tools say as `{"input": text}`; else the arguments."""
    return arguments["input"] if isinstance(arguments, dict) and arguments.keys() == {"input"} else arguments


def of_openai_stream(reading: Iterable[Any]) -> Facts:
    """From the chunks of `read_openai_stream`, first choice."""
    facts = Facts()
    calls: dict[Any, list[str]] = {}
    order: list[Any] = []
    current: dict[int, Any] = {}
    for chunk in reading:
        if isinstance(chunk, tuple):
            facts.failed = True
            continue
        _take_openai_usage(facts, chunk)
        for choice in chunk.get("choices") or []:
            if choice.get("index", 0) != 0:
                continue
            facts.text += choice.get("text") or ""  # legacy completions
            facts.finish = choice.get("finish_reason") or facts.finish
            delta = choice.get("delta") or {}
            _take_openai_message(facts, delta)
            for position, call in enumerate(delta.get("tool_calls") or []):
                index = call.get("index")
                index = position if index is None else index
                function = call.get("function") or _as_function(call)
                key = current.get(index)
                if key is None or (call.get("id") and calls[key][0] and call["id"] != calls[key][0]):
                    key = current[index] = (index, call.get("id"))
                    calls[key] = ["", "", ""]
                    order.append(key)
                known = calls[key]
                known[0] = known[0] or call.get("id") or ""
                known[1] = known[1] or function.get("name") or ""
                known[2] += function.get("arguments") or ""
    facts.tool_calls = [(calls[key][1], _arguments(calls[key][2])) for key in order]
    return _with_finish(facts)


def of_openai(answer: dict[str, Any]) -> Facts:
    """From a whole chat completion, first choice."""
    facts = Facts()
    _take_openai_usage(facts, answer)
    choice = answer["choices"][0]
    facts.finish = choice.get("finish_reason")
    message = choice.get("message") or {}
    facts.text += choice.get("text") or ""
    _take_openai_message(facts, message)
    if not facts.reasoning:  # in streams the blocks repeat it, so there it is not read from them
        facts.reasoning = "".join(detail.get("text") or "" for detail in message.get("reasoning_details") or [])
    for call in message.get("tool_calls") or []:
        function = call.get("function") or _as_function(call)
        facts.tool_calls.append((function["name"], _arguments(function["arguments"])))
    return _with_finish(facts)


def _as_function(call: dict[str, Any]) -> dict[str, Any]:
    """A call of a custom tool, whose input is free text."""
    custom = call.get("custom") or {}
    return {"name": custom.get("name") or "", "arguments": custom.get("input") or ""}


def _take_openai_message(facts: Facts, message: dict[str, Any]) -> None:
    content = message.get("content")
    if isinstance(content, list):
        for part in content:
            if part.get("type") == "text":
                facts.text += part["text"]
            elif part.get("type") == "thinking":
                facts.reasoning += "".join(piece.get("text", "") for piece in part["thinking"])
    else:
        facts.text += content or ""
    facts.text += message.get("refusal") or ""
    details = message.get("reasoning_details") or []
    facts.reasoning += message.get("reasoning_content") or message.get("reasoning") or ""
    for detail in details:
        if detail.get("signature"):
            facts.signatures.append(detail["signature"])
        if detail.get("type") == "reasoning.encrypted":
            facts.redacted.append(detail["data"])


def _take_openai_usage(facts: Facts, chunk: dict[str, Any]) -> None:
    usage = chunk.get("usage") or (chunk.get("x_groq") or {}).get("usage")
    if usage:
        facts.prompt_tokens = usage["prompt_tokens"]
        facts.completion_tokens = usage["completion_tokens"]
        counts = usage["prompt_tokens"], usage["completion_tokens"]
        reasoning = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens")
        if reasoning and None not in counts and usage.get("total_tokens") == sum(counts) + reasoning:
            facts.completion_tokens += reasoning  # xAI leaves it out


def _with_finish(facts: Facts) -> Facts:
    finish = OPENAI_FINISH.get(facts.finish, facts.finish) if facts.finish is not None else None
    if not facts.failed:
        facts.finish = finish or ("tool_calls" if facts.tool_calls else "stop")
    return facts


def of_anthropic_stream(reading: Iterable[Any]) -> Facts:
    """From the events of `read_anthropic_stream`. Several messages in one body are read as one answer."""
    facts = Facts()
    message = 0
    usage: dict[str, int] = {}
    calls: dict[tuple[int, int], list[str]] = {}
    for event in reading:
        if isinstance(event, tuple):
            facts.failed = True
            continue
        kind = event["type"]
        if kind == "message_start":
            message += 1
            _take_anthropic_usage(usage, event["message"].get("usage"))
        elif kind == "content_block_start":
            block = event["content_block"]
            if block["type"] == "tool_use":
                calls[message, event["index"]] = [block["name"], json.dumps(block["input"]) if block["input"] else ""]
            elif block["type"] == "redacted_thinking":
                facts.redacted.append(block["data"])
            elif block["type"] == "text":
                facts.text += block["text"]
        elif kind == "content_block_delta":
            delta = event["delta"]
            if delta["type"] == "text_delta":
                facts.text += delta["text"]
            elif delta["type"] == "thinking_delta":
                facts.reasoning += delta["thinking"]
            elif delta["type"] == "signature_delta" and delta["signature"]:
                facts.signatures.append(delta["signature"])
            elif delta["type"] == "input_json_delta" and (message, event["index"]) in calls:
                calls[message, event["index"]][1] += delta["partial_json"]
        elif kind == "message_delta":
            facts.finish = ANTHROPIC_FINISH.get(event["delta"]["stop_reason"] or "", facts.finish)
            _take_anthropic_usage(usage, event.get("usage"))
    facts.tool_calls = [(name, _arguments(arguments)) for name, arguments in calls.values()]
    return _with_anthropic_usage(facts, usage)


def of_anthropic(answer: dict[str, Any]) -> Facts:
    """From a whole message."""
    facts = Facts(finish=ANTHROPIC_FINISH.get(answer["stop_reason"] or ""))
    usage: dict[str, int] = {}
    _take_anthropic_usage(usage, answer["usage"])
    for block in answer["content"]:
        if block["type"] == "text":
            facts.text += block["text"]
        elif block["type"] == "thinking":
            facts.reasoning += block["thinking"]
            if block["signature"]:
                facts.signatures.append(block["signature"])
        elif block["type"] == "redacted_thinking":
            facts.redacted.append(block["data"])
        elif block["type"] == "tool_use":
            facts.tool_calls.append((block["name"], _plain(block["input"])))
    return _with_anthropic_usage(facts, usage)


def _take_anthropic_usage(usage: dict[str, int], reported: dict[str, Any] | None) -> None:
    for name in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens"):
        if reported and reported.get(name) is not None:
            usage[name] = reported[name]


def _with_anthropic_usage(facts: Facts, usage: dict[str, int]) -> Facts:
    inputs = [usage[name] for name in usage if name != "output_tokens"]
    facts.prompt_tokens = sum(inputs) if inputs else None
    facts.completion_tokens = usage.get("output_tokens")
    return facts


def of_responses_stream(reading: Iterable[Any]) -> Facts:
    """From the events of `read_responses_stream`: what their deltas say, held against what the last event says."""
    facts = Facts()
    calls: dict[Any, list[str]] = {}
    final: Facts | None = None
    offset = 0
    for event in reading:
        if isinstance(event, tuple):
            facts.failed = True
            continue
        kind = event["type"]
        if kind == "response.created":
            offset += 1000  # several answers in one body
        place = offset + (event.get("output_index") or 0)
        if kind in ("response.output_text.delta", "response.refusal.delta"):
            facts.text += event["delta"]
        elif kind in ("response.reasoning_summary_text.delta", "response.reasoning_text.delta"):
            facts.reasoning += event["delta"]
        elif kind == "response.output_item.added" and event["item"]["type"] in RESPONSES_CALLS:
            calls[place] = [event["item"]["name"], ""]
        elif kind in ("response.function_call_arguments.delta", "response.custom_tool_call_input.delta"):
            calls[place][1] += event["delta"]
        elif kind == "response.output_item.done" and event["item"]["type"] == "reasoning":
            _take_encrypted(facts, event["item"])
        elif kind in ("response.completed", "response.incomplete"):
            final = of_response(event["response"])
    facts.tool_calls = [(name, _arguments(arguments)) for name, arguments in calls.values()]
    if final is not None:
        facts.finish = final.finish
        facts.prompt_tokens, facts.completion_tokens = final.prompt_tokens, final.completion_tokens
        if offset == 1000 and not calls:  # vendors that stream no arguments tell them at the end
            facts.tool_calls = final.tool_calls
    return facts


RESPONSES_CALLS = ("function_call", "custom_tool_call")


def of_response(answer: dict[str, Any]) -> Facts:
    """From a whole response."""
    facts = Facts()
    for item in answer["output"]:
        if item["type"] == "message":
            facts.text += "".join(part.get("text") or part.get("refusal") or "" for part in item["content"])
        elif item["type"] == "reasoning":
            facts.reasoning += "".join(part["text"] for part in [*item["summary"], *(item.get("content") or [])])
            _take_encrypted(facts, item)
        elif item["type"] == "function_call":
            facts.tool_calls.append((item["name"], _arguments(item["arguments"])))
        elif item["type"] == "custom_tool_call":
            facts.tool_calls.append((item["name"], item["input"]))
    reason = (answer.get("incomplete_details") or {}).get("reason")
    facts.finish = {"max_output_tokens": "length", "content_filter": "content_filter"}.get(reason or "", reason)
    if facts.finish is None:
        facts.finish = "tool_calls" if facts.tool_calls else "stop"
    usage = answer.get("usage") or {}
    facts.prompt_tokens, facts.completion_tokens = usage.get("input_tokens"), usage.get("output_tokens")
    return facts


def _take_encrypted(facts: Facts, item: dict[str, Any]) -> None:
    sealed = item.get("encrypted_content")
    if sealed:
        (facts.signatures if item["summary"] or item.get("content") else facts.redacted).append(sealed)


def of_gemini(answers: Iterable[Any]) -> Facts:
    """From what google-genai yields, in the wire's spelling: the events of a stream, or one whole answer."""
    said = facts_of_answers(answers)
    return Facts(
        text=said.text,
        reasoning=said.reasoning,
        signatures=said.signatures,
        redacted=said.redacted,
        tool_calls=said.tool_calls,
        finish=said.finish,
        prompt_tokens=said.usage.input,
        completion_tokens=said.usage.output,
    )
