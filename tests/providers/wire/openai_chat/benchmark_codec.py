"""What this codec costs: `python -m tests.providers.wire.openai_chat.benchmark_codec` from the repository's root.

Prints microseconds, best of several rounds on one core: for each event of a stream, and for each request body.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from providers.model import LLMRequest, LLMResponse, finish_chunk, text_chunk
from providers.wire.openai_chat import WIRE

ROUNDS = 20
EVENTS = 1000


def best(run: Callable[[], object], count: int) -> float:
    """The fastest round, in microseconds for each of `count` things that `run` does."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times) / count * 1e6


def stream_body() -> bytes:
    encoder = WIRE.stream_encoder(LLMRequest(model="m"))
    chunks = [*(text_chunk(" word") for _ in range(EVENTS)), finish_chunk("stop")]
    return b"".join(encoder.encode(chunk) for chunk in chunks) + encoder.finish(LLMResponse())


def request_body(size: int) -> bytes:
    messages: list[dict[str, Any]] = [{"role": "system", "content": "You are helpful."}]
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"x":"' + "y" * 80 + '"}'}}
    while len(json.dumps(messages)) < size:
        messages += [
            {"role": "user", "content": "question " * 60},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "result " * 100},
            {"role": "assistant", "content": "answer " * 80},
        ]
    messages.append({"role": "user", "content": "Hi"})
    return json.dumps({"model": "m", "messages": messages, "temperature": 0.7, "stream": True}).encode()


def main() -> None:
    body = stream_body()
    chunks = WIRE.stream_decoder().feed(body)

    def encode() -> None:
        encoder = WIRE.stream_encoder(LLMRequest(model="m"))
        for chunk in chunks:
            encoder.encode(chunk)

    print(f"stream decode   {best(lambda: WIRE.stream_decoder().feed(body), len(chunks)):8.2f} us/event")
    print(f"stream encode   {best(encode, len(chunks)):8.2f} us/event")
    for name, size in (("small", 0), ("100 kB", 100_000)):
        sent = request_body(size)
        request = WIRE.decode_request(sent)
        decode_cost = best(lambda sent=sent: [WIRE.decode_request(sent) for _ in range(20)], 20)
        relay_cost = best(lambda request=request: [WIRE.relay_request(request, "x") for _ in range(20)], 20)
        print(f"request decode  {decode_cost:8.2f} us ({name})")
        print(f"request relay   {relay_cost:8.2f} us ({name})")


if __name__ == "__main__":
    main()
