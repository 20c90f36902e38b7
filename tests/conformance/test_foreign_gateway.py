"""A gateway that is not ours, met by URL alone: nginx as a plain reverse proxy."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from conformance.cli import conformance
from conformance.reports.json_report import read
from conformance.result import Report

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")

CONFIG = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{upstream};
            proxy_http_version 1.1;
            proxy_buffering off;
        }}
    }}
}}
"""


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """Its URL, and the port where it expects the provider."""
    if NGINX is None:
        pytest.skip("nginx is not installed (apt-get install nginx)")
    port, upstream = free_port(), free_port()
    config = tmp_path / "nginx.conf"
    config.write_text(CONFIG.format(folder=tmp_path, port=port, upstream=upstream))
    with subprocess.Popen([NGINX, "-p", str(tmp_path), "-c", str(config)], stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:
                with socket.socket() as sock:
                    if sock.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.02)
            yield f"http://127.0.0.1:{port}", upstream
        finally:
            process.terminate()
            process.wait(10)


def run(*arguments: str, folder: Path) -> tuple[int, str, Report]:
    path = folder / "report.json"
    result = CliRunner().invoke(conformance, ["run", "--no-vendors", "--json", str(path), *arguments])
    return result.exit_code, result.output, read(path.read_bytes())


def test_nginx_keeps_what_it_owes(nginx: tuple[str, int], tmp_path: Path) -> None:
    url, upstream = nginx
    code, output, report = run(
        *("--target", f"openai={url}", "--target", f"anthropic={url}", "--listen", str(upstream), "--representative"),
        folder=tmp_path,
    )
    assert code == 0, output
    asked = {result.check for result in report.results}
    assert asked == set(report.checks)
    assert {result.case.subject for result in report.results} == {"target:openai", "target:anthropic"}


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_a_gateway_that_is_not_there_ends_the_run_before_it_begins(host: str) -> None:
    result = CliRunner().invoke(conformance, ["run", "--target", f"openai=http://{host}:{free_port()}"])
    assert result.exit_code == 2
    assert re.search(r"target:openai at http://\S+ gave no answer: no connection: .*Connection refused", result.output)


def test_a_gateway_that_asks_somebody_else_ends_the_run_before_it_begins(nginx: tuple[str, int]) -> None:
    url, _ = nginx
    listen = free_port()
    arguments = ["run", "--target", f"openai={url}", "--listen", str(listen)]
    result = CliRunner().invoke(conformance, arguments)
    assert result.exit_code == 2
    told = f"answered with status 502.*did not arrive at the replay server, http://127.0.0.1:{listen}"
    assert re.search(told, result.output, re.DOTALL), result.output
