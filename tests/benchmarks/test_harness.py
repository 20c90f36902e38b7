"""The mock provider and the load generator: what they report is so, and neither of them loses anything."""

from __future__ import annotations

import json
import random
from functools import partial
from typing import Any

import anthropic
import openai
import pytest
import trio
from openai.types.chat import ChatCompletionMessageParam

from benchmarks.measure import FAULTS

PATHS = ["/v1/chat/completions", "/v1/messages"]


def body(orders: str, *, stream: bool = True) -> bytes:
    message = {"role": "user", "content": f"hello bench:{orders};"}
    return json.dumps({"model": "m", "max_tokens": 9, "stream": stream, "messages": [message]}).encode()


def faults(result: dict[str, Any]) -> dict[str, int]:
    return {name: result[name] for name in FAULTS if result[name]}


def stamp(seq: int) -> str:
    return f"~q{seq:08d}t{1:019d}~"


def test_openai_sdk_reads_the_mock(mock: Any) -> None:
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": "bench:n=7,p=5;"}]
    with openai.OpenAI(api_key="x", base_url=f"http://127.0.0.1:{mock.port}/v1", max_retries=0) as client:
        whole = client.chat.completions.create(model="m", messages=messages)
        with client.chat.completions.create(
            model="m", messages=messages, stream=True, stream_options={"include_usage": True}
        ) as stream:
            chunks = list(stream)
    assert whole.choices[0].message.content is not None
    assert whole.choices[0].message.content.startswith("mock-answer")
    texts = [c.choices[0].delta.content for c in chunks if c.choices and c.choices[0].delta.content]
    assert [text[2:10] for text in texts] == [f"{n:08d}" for n in range(7)]
    assert all(text.endswith("~ the ") for text in texts)
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 7


def test_anthropic_sdk_reads_the_mock(mock: Any) -> None:
    with (
        anthropic.Anthropic(api_key="x", base_url=f"http://127.0.0.1:{mock.port}", max_retries=0) as client,
        client.messages.stream(
            model="m", max_tokens=9, messages=[{"role": "user", "content": "bench:n=7,r=200;"}]
        ) as stream,
    ):
        message = stream.get_final_message()
    assert message.stop_reason == "end_turn"
    assert message.usage.output_tokens == 7
    block = message.content[0]
    assert block.type == "text"
    assert block.text.count("~q") == 7


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("orders", ["n=50", "n=50,b=1", "n=50,r=500", "n=50,b=50,d=5,p=2000"])
def test_every_event_arrives_once(mock: Any, load: Any, path: str, orders: str) -> None:
    result = load(mock.port, body(orders), "--connections", 5, "--each", 3, "--events", 50, path=path)
    assert faults(result) == {}
    assert (result["requests"], result["events"]) == (15, 750)
    assert result["lag_us"]["count"] == 750
    stats = mock.stats()
    assert (stats["streams_finished"], stats["events"], stats["closed_early"]) == (15, 750, 0)
    assert stats["active"] == 0


@pytest.mark.parametrize("path", PATHS)
def test_whole_answers(mock: Any, load: Any, path: str) -> None:
    options = ("--connections", 8, "--requests", 100, "--expect", "mock-answer")
    result = load(mock.port, body("d=1", stream=False), *options, path=path)
    assert faults(result) == {}
    assert result["requests"] == mock.stats()["nonstream"] == 100
    assert result["peak_open"] == 8


def test_pace_is_kept(mock: Any, load: Any) -> None:
    result = load(mock.port, body("n=20,r=100"), "--each", 1, "--events", 20)
    # 19 intervals of 10 ms and a random phase: the machine may be late, but nothing can be early.
    assert result["latency_us"]["max"] >= 190_000


def test_an_abandoned_stream_is_seen_by_the_mock(mock: Any, load: Any) -> None:
    options = ("--connections", 10, "--requests", 60, "--abandon", 0.5, "--abandon-ms", 100)
    result = load(mock.port, body("n=20,r=200,d=20"), *options)
    assert faults(result) == {}
    assert result["requests"] + result["abandoned"] == result["requests_all"] == 60
    assert 0 < result["abandoned_before_first_byte"] < result["abandoned"] < 60
    stats = mock.stats()
    # A connection left before its request was read is never known to be one.
    assert 0 <= result["abandoned"] - stats["closed_early"] == 60 - stats["requests"] <= 5
    assert stats["active"] == 0


class Canned:
    """Answers every connection's first request with the same bytes, in pieces, and closes if told to."""

    def __init__(self, answer: bytes, sizes: list[int], *, close: bool) -> None:
        self.answer = answer
        self.sizes = sizes
        self.close = close

    async def __call__(self, stream: trio.SocketStream) -> None:
        received = b""
        while b"\r\n\r\n" not in received:
            received += await stream.receive_some(65536)
        at = 0
        while at < len(self.answer):
            size = random.choice(self.sizes)
            await stream.send_all(self.answer[at : at + size])
            at += size
            await trio.lowlevel.checkpoint()
        if not self.close:
            await stream.receive_some(1)


def against(canned: Canned, load: Any, *arguments: object) -> dict[str, Any]:
    """Run the load generator against it."""

    async def main() -> dict[str, Any]:
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(partial(trio.serve_tcp, canned, 0, host="127.0.0.1"))
            port = listeners[0].socket.getsockname()[1]
            run = partial(load, port, body("n=5"), *arguments)
            result: dict[str, Any] = await trio.to_thread.run_sync(run)
            nursery.cancel_scope.cancel()
        return result

    return trio.run(main)


def sse(seqs: list[int], *, end: str = "data: [DONE]\n\n") -> bytes:
    return ("".join(f'data: {{"text":"{stamp(n)}"}}\n\n' for n in seqs) + end).encode()


def chunked(payload: bytes, size: int, kind: str = "text/event-stream") -> bytes:
    parts = [payload[i : i + size] for i in range(0, len(payload), size)]
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return head + b"".join(b"%X;x=y\r\n%s\r\n" % (len(p), p) for p in parts) + b"0\r\nTrailer: x\r\n\r\n"


@pytest.mark.parametrize("sizes", [[1], [2, 3], [5, 17, 100], [100_000]])
@pytest.mark.parametrize("chunk", [1, 7, 1000])
@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_any_cut_gives_the_same_events(load: Any, sizes: list[int], chunk: int, newline: bytes) -> None:
    payload = sse(list(range(5))).replace(b"\n", newline)
    canned = Canned(chunked(payload, chunk), sizes, close=False)
    result = against(canned, load, "--each", 1, "--events", 5)
    assert faults(result) == {}
    assert (result["requests"], result["events_all"]) == (1, 5)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (chunked(sse([0, 1, 3, 4]), 50), {"lost": 1}),
        (chunked(sse([0, 1, 2, 1, 2, 3, 4]), 50), {"repeated": 2}),
        (chunked(sse([0, 1, 2]), 50), {"lost": 2}),
        (chunked(sse([0, 1, 2, 3, 4], end=""), 50), {"incomplete": 1}),
        (chunked(sse([0, 1, 2, 3, 4]), 50)[:-30], {"incomplete": 1, "reset": 1}),
        (chunked(sse([0, 1, 2, 3, 4], end='data: {"error":{}}\n\n'), 50), {"incomplete": 1, "error_events": 1}),
        (b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\n{}", {"bad_status": 1}),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", {"wrong_body": 1}),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", {"malformed": 1}),
        (b"SMTP ready, go ahead\r\n\r\n", {"malformed": 1}),
        (b"", {"reset": 1}),
    ],
)
def test_faults_are_counted(load: Any, answer: bytes, expected: dict[str, int]) -> None:
    result = against(Canned(answer, [1000], close=True), load, "--each", 1, "--events", 5)
    assert faults(result) == expected
    assert result["first_error"] or expected.keys() <= {"lost", "repeated", "incomplete"}


def test_body_that_ends_with_the_connection(load: Any) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + sse([0, 1, 2, 3, 4])
    result = against(Canned(answer, [9], close=True), load, "--each", 1, "--events", 5)
    assert faults(result) == {}
    assert result["events_all"] == 5


def test_silence_is_a_timeout(load: Any) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
    result = against(Canned(answer, [100], close=False), load, "--each", 1, "--timeout", 0.2)
    assert faults(result) == {"timeouts": 1}


def test_nobody_listens(load: Any) -> None:
    result = load(1, body("n=1"), "--each", 1, "--seconds", 5)
    assert faults(result) == {"connect_errors": 1}
    assert "refused" in result["first_error"]
