"""The gateways to compare. Each is a command, a config file, and the routes that it serves.

To add one, add an entry to `SUBJECTS`; for a one-off, `--subject 'name=command {port} {upstream}'` does. Imports only
processes.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from benchmarks.processes import free_port

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin") or ""

_LITELLM_KEY = f"sk-{secrets.token_hex(32)}"

SAME_API = ("openai>openai", "anthropic>anthropic")
TRANSLATED = ("anthropic>openai", "openai>anthropic")
PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}


class Place(msgspec.Struct, frozen=True):
    """Where a subject is to run, for its command and config."""

    port: int
    upstream: int
    """The mock's port."""
    directory: Path
    """For config files, pid files and the like."""
    venvs: Path
    """Where separately installed subjects are looked for."""
    options: dict[str, str] = {}
    """`triway-command`: the gateway's own command, with {config}."""

    def write(self, name: str, text: str) -> Path:
        path = self.directory / name
        path.write_text(text)
        return path


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    about: str
    command: Callable[[Place], list[str]]
    missing: Callable[[Place], str] = lambda _: ""
    """Why it cannot run here, with the command that installs it; empty: it can."""
    routes: tuple[str, ...] = SAME_API
    """client API > provider API."""
    headers: Callable[[str, Place], dict[str, str]] = lambda _route, _place: {}
    """Headers that a request for a route needs, beside those that `request_headers` gives anyway."""
    env: dict[str, str] = {}
    start_seconds: float = 30
    external: bool = True
    """Whether there is a process to start at all."""
    shares_cores: bool = False
    """It runs on the harness' core too: what a machine gives that is not divided up."""


def _direct(place: Place) -> list[str]:
    raise AssertionError("direct has no process")


def _module(name: str) -> Callable[[Place], list[str]]:
    return lambda place: [sys.executable, "-m", f"benchmarks.{name}", str(place.port), str(place.upstream)]


def gateway_config(place: Place, workers: int = 1) -> Path:
    """A configuration of this gateway with everything on that is on by default: a log line a request, metrics."""
    return place.write(
        "gateway.yaml",
        f"""\
server: {{host: 127.0.0.1, port: {place.port}, workers: {workers}}}
logging: {{level: info, format: json}}
models:
  - name: bench-openai
    type: openai
    config: {{apiKey: bench, baseUrl: "http://127.0.0.1:{place.upstream}/v1", maxConnections: 20000}}
  - name: bench-anthropic
    type: anthropic
    config: {{apiKey: bench, baseUrl: "http://127.0.0.1:{place.upstream}", maxConnections: 20000}}
""",
    )


def _triway(place: Place, workers: int = 1) -> list[str]:
    config = gateway_config(place, workers)
    default = f"{Path(sys.executable).parent / 'triway'} serve --config {{config}}"
    return shlex.split(place.options.get("triway-command", default).format(config=config, port=place.port))


def _nginx(place: Place) -> list[str]:
    temps = "\n".join(
        f"    {kind}_temp_path {place.directory / kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.geteuid() == 0 else ""
    config = place.write(
        "nginx.conf",
        f"""\
{user}
worker_processes 1;
worker_rlimit_nofile 20000;
daemon off;
pid {place.directory / "nginx.pid"};
error_log stderr warn;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    tcp_nodelay on;
    keepalive_requests 100000000;
{temps}
    upstream provider {{ server 127.0.0.1:{place.upstream}; keepalive 1024; keepalive_requests 100000000; }}
    server {{
        listen 127.0.0.1:{place.port} backlog=4096;
        location / {{
            proxy_pass http://provider;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
}}
""",
    )
    return [NGINX, "-p", str(place.directory), "-c", str(config)]


def _vllm_router(place: Place) -> list[str]:
    return [
        *(str(place.venvs / "vllm-router/bin/vllm-router"), "--host", "127.0.0.1", "--port", str(place.port)),
        *("--worker-urls", f"http://127.0.0.1:{place.upstream}", "--policy", "round_robin", "--disable-retries"),
        *("--prometheus-port", str(free_port()), "--log-level", "error", "--max-concurrent-requests", "20000"),
    ]


def _litellm(place: Place) -> list[str]:
    config = place.write(
        "litellm.yaml",
        f"""\
model_list:
  - model_name: bench-openai
    litellm_params: {{model: openai/mock-model, api_base: "http://127.0.0.1:{place.upstream}/v1", api_key: bench}}
  - model_name: bench-anthropic
    litellm_params: {{model: anthropic/mock-model, api_base: "http://127.0.0.1:{place.upstream}", api_key: bench}}
litellm_settings: {{num_retries: 0, set_verbose: false, telemetry: false}}
""",
    )
    return [
        *(str(place.venvs / "litellm/bin/litellm"), "--config", str(config), "--host", "127.0.0.1"),
        *("--port", str(place.port), "--num_workers", "1", "--telemetry", "False"),
    ]


def _portkey(place: Place) -> list[str]:
    script = place.venvs / "portkey/node_modules/@portkey-ai/gateway/build/start-server.js"
    return ["node", str(script), f"--port={place.port}", "--headless"]


def _portkey_headers(route: str, place: Place) -> dict[str, str]:
    return {
        "x-portkey-provider": route.partition(">")[2],
        "x-portkey-custom-host": f"http://127.0.0.1:{place.upstream}/v1",
        "authorization": "Bearer bench",
    }


def _in_venvs(path: str, install: str) -> Callable[[Place], str]:
    def missing(place: Place) -> str:
        return "" if (place.venvs / path).exists() else f"not installed; try: {install.format(venvs=place.venvs)}"

    return missing


def _venv(name: str, package: str) -> str:
    return f"python3 -m venv {{venvs}}/{name} && {{venvs}}/{name}/bin/pip install '{package}'"


SUBJECTS = {
    s.name: s
    for s in (
        Subject(
            name="direct",
            about="no gateway: the load straight to the mock, both on one core. What the harness itself can do.",
            command=_direct,
            external=False,
        ),
        Subject(
            name="relay",
            about="bytes relayed by bare trio, no HTTP: the floor for a Python gateway (benchmarks/relay.py)",
            command=_module("relay"),
        ),
        Subject(
            name="nginx",
            about="proxy_pass, one worker, keep-alive upstream, no buffering",
            command=_nginx,
            missing=lambda _: "" if NGINX else "not installed; try: apt-get install nginx",
        ),
        Subject(
            name="naive",
            about="Hypercorn (trio) + Quart-trio + httpx, relaying bytes (benchmarks/naive.py)",
            command=_module("naive"),
        ),
        Subject(
            name="triway",
            about="this gateway, one worker",
            command=_triway,
            routes=(*SAME_API, *TRANSLATED),
        ),
        Subject(
            name="triway-2",
            about="this gateway, two workers, on both cores beside the load and the mock",
            command=lambda place: _triway(place, workers=2),
            routes=(*SAME_API, *TRANSLATED),
            shares_cores=True,
        ),
        Subject(
            name="vllm-router",
            about="a router in Rust",
            command=_vllm_router,
            missing=_in_venvs("vllm-router/bin/vllm-router", _venv("vllm-router", "vllm-router==0.1.17")),
            routes=("openai>openai",),
            start_seconds=60,
        ),
        Subject(
            name="litellm",
            about="a gateway in Python, one worker",
            command=_litellm,
            # Pinned: release 1.107.0 was compromised.
            missing=_in_venvs("litellm/bin/litellm", _venv("litellm", "litellm[proxy]==1.106.0")),
            routes=(*SAME_API, *TRANSLATED),
            # It does not start without a key of its own.
            headers=lambda _route, _place: {"authorization": f"Bearer {_LITELLM_KEY}"},
            env={
                "LITELLM_MASTER_KEY": _LITELLM_KEY,
                "LITELLM_LOCAL_MODEL_COST_MAP": "True",
                "LITELLM_LOG": "ERROR",
                "NO_DOCS": "True",
            },
            start_seconds=120,
        ),
        Subject(
            name="portkey",
            about="a gateway in TypeScript",
            command=_portkey,
            missing=_in_venvs(
                "portkey/node_modules/@portkey-ai/gateway/build/start-server.js",
                "npm install --prefix {venvs}/portkey @portkey-ai/gateway@1.15.2",
            ),
            routes=(*SAME_API, "openai>anthropic"),
            headers=_portkey_headers,
        ),
    )
}


def from_template(text: str) -> Subject:
    """A subject from `name=command`, where {port} is its own port and {upstream} the mock's. Raises `ValueError`."""
    name, _, template = text.partition("=")
    if not name or not template:
        raise ValueError(f"a subject is name=command, not {text!r}")
    return Subject(
        name=name,
        about=template,
        command=lambda place: shlex.split(template.format(port=place.port, upstream=place.upstream)),
    )


def request_headers(subject: Subject, route: str, place: Place) -> dict[str, str]:
    """Everything that a request needs but content-type and content-length."""
    if route.startswith("anthropic"):
        own = {"x-api-key": "bench", "anthropic-version": "2023-06-01"}
    else:
        own = {"authorization": "Bearer bench"}
    return own | subject.headers(route, place)


def model_for(route: str) -> str:
    """The model's name in a request for a route: it says the provider's API."""
    return "bench-" + route.partition(">")[2]
