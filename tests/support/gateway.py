"""A gateway on a free port of 127.0.0.1, inside the test's own trio run, and the official SDKs pointed at it."""

from __future__ import annotations

import json
import ssl
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TextIO

import anthropic
import httpx
import openai
import trio

from conformance.replay import Play, ReplayServer, Script
from proxy.apis import api_registry
from proxy.app import make_app
from proxy.config import load_config
from proxy.gateway import Gateway
from proxy.observe.logs import configure_logging
from proxy.plugins import Plugin
from proxy.server import ServerSettings, serve_in_task
from tests.support.plugins import registry_with

_SSL = ssl.create_default_context()
"""Made once: each SDK client would read all of the system's certificates again."""

HI = [{"role": "user", "content": "hi"}]


class Running:
    """A gateway that is up."""

    def __init__(self, url: str, gateway: Gateway, shutdown: trio.Event) -> None:
        self.url = url
        self.gateway = gateway
        self.shutdown = shutdown

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    def openai(self, **options: Any) -> openai.AsyncOpenAI:
        return openai_client(self.url, **options)

    def anthropic(self, **options: Any) -> anthropic.AsyncAnthropic:
        return anthropic_client(self.url, **options)

    def http(self, **options: Any) -> httpx.AsyncClient:
        """A plain HTTP client."""
        return httpx.AsyncClient(**{"base_url": self.url, "verify": _SSL, "trust_env": False, **options})


def openai_client(url: str, **options: Any) -> openai.AsyncOpenAI:
    options.setdefault("http_client", openai.DefaultAsyncHttpxClient(verify=_SSL))
    return openai.AsyncOpenAI(**{"api_key": "sk-client", "base_url": f"{url}/v1", "max_retries": 0, **options})


def anthropic_client(url: str, **options: Any) -> anthropic.AsyncAnthropic:
    options.setdefault("http_client", anthropic.DefaultAsyncHttpxClient(verify=_SSL))
    return anthropic.AsyncAnthropic(**{"api_key": "sk-client", "base_url": url, "max_retries": 0, **options})


PROVIDERS: dict[str, tuple[str, dict[str, str]]] = {
    "openai-chat": ("openai", {"baseUrl": "{}/v1"}),
    "openai-responses": ("openai", {"baseUrl": "{}/v1", "api": "responses"}),
    "anthropic-messages": ("anthropic", {"baseUrl": "{}"}),
    "gemini-generate": ("gemini", {"baseUrl": "{}"}),
    "bedrock-converse": ("bedrock", {"baseUrl": "{}", "region": "eu-west-3"}),
    "cohere-chat": ("cohere", {"baseUrl": "{}"}),
    "ollama-chat": ("ollama", {"baseUrl": "{}"}),
}
"""By API: the provider's type and its configuration; `{}` stands for the upstream's address."""


def model(api: str, upstream: str, *, name: str = "m", **more: Any) -> dict[str, Any]:
    """A model entry whose provider of `api` (a key of `PROVIDERS`) is at `upstream`.

    Further keys go to the entry (`onDisconnect` ...) or, as `config={...}`, to the provider.
    """
    kind, own = PROVIDERS[api]
    placed = {key: value.format(upstream) for key, value in own.items()}
    config = {"apiKey": "sk-upstream", "retryAttempts": 0, **placed, **more.pop("config", {})}
    return {"name": name, "type": kind, "config": config, **more}


@asynccontextmanager
async def serving(
    models: Sequence[dict[str, Any]],
    *,
    server: dict[str, Any] | None = None,
    extensions: Sequence[Path] = (),
    plugins: Sequence[dict[str, Any] | type[Plugin]] = (),
    config: dict[str, Any] | None = None,
    log: TextIO | None = None,
) -> AsyncIterator[Running]:
    """A gateway with these models. On the way out it is stopped as SIGTERM would.

    `plugins`: entries, or classes (as `plugin_class` makes them), each its own entry. `config`: more top-level keys.

    With `log` everything that it logs goes there, as JSON lines; else only errors are, to stderr.
    """
    configure_logging("error" if log is None else "debug", "json", log)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gateway.yaml"
        content = {
            "server": {"port": 0, **(server or {})},
            "models": list(models),
            "availableExtensions": [{"path": str(extension)} for extension in extensions],
            "plugins": [entry if isinstance(entry, dict) else {"name": entry.metadata.name} for entry in plugins],
            **(config or {}),
        }
        path.write_text(json.dumps(content))  # JSON is YAML
        apis = api_registry()
        known = registry_with(entry for entry in plugins if not isinstance(entry, dict))
        checked = load_config(path, {}, plugins=known, apis=apis)
    app = make_app(checked, apis)
    settings = ServerSettings(
        bind=["127.0.0.1:0"],
        write_timeout=checked.server.write_timeout / 1000,
        graceful_timeout=checked.server.graceful_timeout / 1000,
    )
    shutdown = trio.Event()
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:

            async def run(task_status: trio.TaskStatus[list[int]] = trio.TASK_STATUS_IGNORED) -> None:
                await serve_in_task(app, settings, shutdown=shutdown, task_status=task_status)

            ports = await nursery.start(run)
            try:
                yield Running(f"http://127.0.0.1:{ports[0]}", app, shutdown)
            finally:
                shutdown.set()


@asynccontextmanager
async def gateway_to(
    api: str,
    script: Script | Sequence[Play] | Play,
    *,
    server: dict[str, Any] | None = None,
    plugins: Sequence[dict[str, Any] | type[Plugin]] = (),
    log: TextIO | None = None,
    **entry: Any,
) -> AsyncIterator[tuple[ReplayServer, Running]]:
    """A replay server that plays `script`, and a gateway whose one model `m` is there. `entry` as in `model`."""
    async with ReplayServer(script) as upstream:
        models = [model(api, upstream.url, **entry)]
        async with serving(models, server=server, plugins=plugins, log=log) as gateway:
            yield upstream, gateway


async def wait_until(condition: Any, *, seconds: float = 5.0) -> None:
    """Wait until `condition()` holds; fail after `seconds`."""
    with trio.fail_after(seconds):
        while not condition():
            await trio.sleep(0.005)
