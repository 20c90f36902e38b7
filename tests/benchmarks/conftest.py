"""The two C programs, built once, and a mock of its own for each test."""

from __future__ import annotations

import http.client
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import native


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    try:
        return native.build(tmp_path_factory.mktemp("bin"))
    except native.NoCompilerError as error:
        pytest.skip(str(error))


class Mock:
    def __init__(self, port: int) -> None:
        self.port = port

    def stats(self) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/stats")
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
            return answer
        finally:
            connection.close()


@pytest.fixture
def mock(programs: tuple[Path, Path]) -> Iterator[Mock]:
    with subprocess.Popen([str(programs[0])], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield Mock(json.loads(process.stdout.readline())["port"])
        finally:
            process.kill()


Load = Callable[..., dict[str, Any]]


@pytest.fixture
def load(programs: tuple[Path, Path]) -> Load:
    """Run the load generator: `load(port, body, "--each", 2)`."""

    def run(port: int, body: bytes, *arguments: object, path: str = "/v1/chat/completions") -> dict[str, Any]:
        command = [str(programs[1]), "--port", str(port), "--path", path, "--body", "-", *map(str, arguments)]
        done = subprocess.run(command, input=body, capture_output=True, check=True, timeout=60)
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    return run
