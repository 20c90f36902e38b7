"""The log never holds anybody up: not when its reader is slow, stands still, or is gone."""

from __future__ import annotations

import io
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import httpx
import pytest
import trio

from conformance.replay import Play, ReplayServer
from providers.replay.provider import BUNDLED
from providers.replay.recording import load_recording
from proxy.observe.log_writer import LogWriter
from tests.support.gateway import HI, model
from tests.support.process import triway_serving

WHOLE = load_recording(BUNDLED / "openai-chat" / "json" / "text.json")


class Pipe:
    """A pipe whose writing end is a text stream, and whose other end is read when the test says so."""

    def __init__(self) -> None:
        self.fd, writing = os.pipe()
        self.out: TextIO = os.fdopen(writing, "w", encoding="utf-8")

    def read_to_end(self) -> bytes:
        data = b""
        while piece := os.read(self.fd, 65536):
            data += piece
        return data


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    for close in (made.out.close, lambda: os.close(made.fd)):
        try:
            close()
        except OSError:
            continue


class Recorded(io.StringIO):
    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []

    def write(self, text: str) -> int:
        self.pieces.append(text)
        return len(text)


def test_lines_come_out_whole_and_in_order_in_writes_that_do_not_mix() -> None:
    out = Recorded()
    writer = LogWriter(out)
    lines = [f"{number} {'é' * (number % 97)}\n" for number in range(2000)]
    for line in lines:
        writer.write(line)
    assert writer.end(10)
    assert "".join(out.pieces) == "".join(lines)
    assert all(piece.endswith("\n") and len(piece.encode()) <= 4096 for piece in out.pieces)
    assert len(out.pieces) < 200


def test_a_descriptor_that_does_not_block(pipe: Pipe) -> None:
    os.set_blocking(pipe.out.fileno(), False)
    counted: list[int] = []
    writer = LogWriter(pipe.out, count_loss=counted.append)
    for _ in range(2000):
        writer.write("x" * 99 + "\n")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_to_end()))
    assert not writer.end(0.2)
    reader.start()
    assert writer.end(10)
    pipe.out.close()
    reader.join(10)
    assert (len(read[0]), counted) == (200_000, [])


def test_a_line_comes_out_without_another_one_behind_it(pipe: Pipe) -> None:
    writer = LogWriter(pipe.out)
    for line in (b"first\n", b"second\n"):
        writer.write(line.decode())
        assert os.read(pipe.fd, 100) == line
    writer.end(10)


def test_a_reader_that_stands_still(pipe: Pipe) -> None:
    counted: list[int] = []
    reported: list[int] = []
    flowing = threading.Event()

    def report(lines: int) -> None:
        reported.append(lines)
        flowing.set()

    writer = LogWriter(pipe.out, count_loss=counted.append, report_loss=report, max_waiting=200_000)
    line = "x" * 99 + "\n"
    for _ in range(10_000):
        writer.write(line)
    # A pipe holds 64 KiB, beside what waits here.
    assert 7_000 < sum(counted) < 8_100
    reader = threading.Thread(target=lambda: read.append(pipe.read_to_end()))
    read: list[bytes] = []
    reader.start()
    assert flowing.wait(10)
    writer.write("again\n")
    assert writer.end(10)
    pipe.out.close()
    reader.join(10)
    assert reported == [sum(counted)]
    assert read[0] == line.encode() * (10_000 - sum(counted)) + b"again\n"


def test_the_end_does_not_wait_for_ever(pipe: Pipe) -> None:
    counted: list[int] = []
    writer = LogWriter(pipe.out, count_loss=counted.append)
    for _ in range(1000):
        writer.write("x" * 999 + "\n")
    assert not writer.end(0.1)
    writer.write("too late\n")
    assert counted == [1]
    reader = threading.Thread(target=pipe.read_to_end, daemon=True)  # lets the writer's thread end
    reader.start()
    assert writer.end(10)
    pipe.out.close()
    reader.join(10)


def gone(pipe: Pipe) -> None:
    os.close(pipe.fd)


def closed(pipe: Pipe) -> None:
    pipe.out.close()


@pytest.mark.parametrize("happened", [gone, closed])
def test_a_log_that_cannot_be_written(pipe: Pipe, happened: Callable[[Pipe], None]) -> None:
    happened(pipe)
    counted: list[int] = []
    writer = LogWriter(pipe.out, count_loss=counted.append)
    writer.write("one\ntwo\n")
    assert writer.end(10)
    assert sum(counted) == 2


async def test_a_gateway_ends_although_nobody_reads_its_log(tmp_path: Path) -> None:
    async with ReplayServer(Play(WHOLE)) as server:
        async with triway_serving(tmp_path, [model("openai-chat", server.url)]) as gateway:
            gateway.stop_reading()
            async with httpx.AsyncClient(base_url=gateway.url) as client:
                with trio.fail_after(60):
                    for _ in range(600):
                        await client.post("/v1/chat/completions", json={"model": "m", "messages": HI})
            gateway.send(signal.SIGTERM)
            assert await gateway.wait() == 0


async def test_a_gateway_whose_log_nobody_reads_goes_on(tmp_path: Path) -> None:
    async with ReplayServer(Play(WHOLE)) as server:
        async with triway_serving(tmp_path, [model("openai-chat", server.url)]) as gateway:
            gateway.stop_reading()
            body = {"model": "m", "messages": HI}
            # A line is about 300 bytes: this is far more than a pipe and the reader's buffer hold.
            async with httpx.AsyncClient(base_url=gateway.url) as client:
                with trio.fail_after(60):
                    for _ in range(600):
                        answer = await client.post("/v1/chat/completions", json=body)
                        assert answer.status_code == 200
            gateway.go_on_reading()
            # The process's end waits for them.
            gateway.send(signal.SIGTERM)
            assert await gateway.wait() == 0
            await gateway.log_ended()
        requests = [line for line in gateway.lines if line["event"] == "request"]
        assert len(requests) == 600
