"""`triway conformance record` and `import` as processes and commands."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import trio
from click.testing import CliRunner

from conformance.capture.recognise import APIS
from conformance.cli import conformance
from conformance.cli_record import COMMANDS
from conformance.replay import FAULTS, Play, ReplayServer
from providers.replay.recording import BUNDLED, load_recording
from tests.support.client import RawClient
from tests.support.gateway import openai_client
from tests.support.process import environment
from tests.support.reading import read_openai_stream

TEXT = load_recording(BUNDLED / "openai-chat" / "stream" / "text.json")


async def _read(stream: trio.abc.ReceiveStream, seen: list[bytes], ready: trio.Event) -> None:
    async for data in stream:
        seen.append(bytes(data))
        if b"recording http" in b"".join(seen):
            ready.set()


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*/*.json"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_session_from_start_to_summary(tmp_path: Path, number: signal.Signals) -> None:
    seen: list[bytes] = []
    ready = trio.Event()
    with trio.fail_after(60):
        async with (
            ReplayServer([Play(TEXT), Play(TEXT, fault=FAULTS["stall-in-event"])]) as server,
            trio.open_nursery() as nursery,
        ):
            arguments = ["record", "--upstream", server.url, "--out", str(tmp_path), "--listen", "127.0.0.1:0"]
            process = await trio.lowlevel.open_process(
                [sys.executable, "-m", "conformance", *arguments, "--name", "hello", "--vendor", "acme"],
                stderr=subprocess.PIPE,
                env=environment(),
            )
            assert process.stderr is not None
            nursery.start_soon(_read, process.stderr, seen, ready)
            await ready.wait()
            url = b"".join(seen).decode().split("recording ")[1].split(" ")[0]
            async with openai_client(url) as client:
                await read_openai_stream(client)
            async with RawClient(int(url.rsplit(":", 1)[1])) as client:
                await client.ask(headers={"authorization": "Bearer hush-0123456789"})
                await client.read_until(b"data: ")
                # The first signal lets the stalled answer go on for a while; the second does not.
                process.send_signal(number)
                while b"stopping; 1 exchanges" not in b"".join(seen):
                    await trio.sleep(0.01)
                process.send_signal(number)
                assert await process.wait() == 0
    said = b"".join(seen).decode()
    assert "recorded openai-chat/stream/hello.json: status 200" in said
    assert "scrubbed: authorization header at request.headers.authorization" in said
    assert "incomplete: the recorder was stopped" in said
    assert said.splitlines()[-1] == f"2 recorded (1 incomplete), 2 secrets scrubbed; in {tmp_path}"
    assert "Traceback" not in said
    assert "hush" not in said
    cut, whole = map(load_recording, files(tmp_path))
    assert (whole.response.body, whole.vendor) == (TEXT.response.body, "acme")
    assert TEXT.response.body.startswith(cut.response.body)


def invoke(*arguments: str | Path) -> SimpleNamespace:
    result = CliRunner().invoke(conformance, [str(argument) for argument in arguments])
    return SimpleNamespace(code=result.exit_code, said=result.output)


def test_an_import_and_its_exit_codes(tmp_path: Path) -> None:
    events = tmp_path / "a.jsonl"
    events.write_text('{"object":"chat.completion.chunk","choices":[]}\n')
    bad = tmp_path / "b.jsonl"
    bad.write_text("no")
    done = invoke("import", "--from", "jsonl", events, "--out", tmp_path / "out")
    assert done.code == 0
    assert done.said.splitlines()[-1] == f"1 recorded, 0 secrets scrubbed; in {tmp_path / 'out'}"
    assert invoke("import", "--from", "jsonl", events, bad, "--out", tmp_path / "out").code == 1
    assert len(files(tmp_path / "out")) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["record", "--upstream", "ftp://x", "--out", "o"], "--upstream"),
        (["record", "--upstream", "http://127.0.0.1:8081", "--out", "o"], "own address"),
        (["record", "--upstream", "http://x", "--out", "o", "--listen", "8081"], "--listen"),
        (["record", "--upstream", "http://x", "--out", "o", "--name", "../x"], "--name"),
        (["record", "--upstream", "http://x", "--out", "o", "--api", "soap"], "--api"),
        (["import", "--from", "har", "/nowhere", "--out", "o"], "/nowhere"),
        (["import", "--from", "csv", "/", "--out", "o"], "--from"),
    ],
)
def test_a_wrong_command_line(arguments: list[str], said: str) -> None:
    result = invoke(*arguments)
    assert result.code == 2
    assert said in result.said


def test_an_address_that_is_taken(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = invoke("record", "--upstream", "http://x.invalid", "--out", tmp_path, "--listen", f"127.0.0.1:{port}")
    assert result.code == 1
    assert f"cannot listen on 127.0.0.1:{port}" in result.said


def test_the_commands_know_every_api_and_import_nothing_before_they_run() -> None:
    for command in COMMANDS:
        (api,) = (parameter for parameter in command.params if parameter.name == "api")
        assert list(api.type.choices) == list(APIS)  # type: ignore[attr-defined]
    code = (
        "import sys, json, conformance.cli; "
        "print(json.dumps([name for name in ('trio', 'yaml', 'httpx', 'msgspec') if name in sys.modules]))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=environment())
    assert json.loads(loaded.stdout) == []
