"""This gateway, whole, over HTTP: served in the suite's own trio loop, so that what it holds can be counted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager

import trio

from conformance.facts import Usage
from conformance.subjects.base import Depth, Question, Traits
from conformance.subjects.configs import SubjectError, complete_config
from conformance.subjects.http_client import Address
from conformance.subjects.http_subject import HTTPSubject
from conformance.subjects.provider import slots_of
from conformance.subjects.speaker import Speaker
from conformance.wires import WIRES, WireFormat
from proxy.apis import BUILTIN_APIS, api_registry
from proxy.app import make_app
from proxy.config import GatewayConfig, ModelEntry, ProjectConfig
from proxy.config.settings import ServerConfig
from proxy.exchange.model import ServedModel
from proxy.gateway import Gateway
from proxy.observe.logs import configure_logging
from proxy.server import ServerSettings, serve_in_task


def name_of(wire: WireFormat, speaker: Speaker) -> str:
    return f"gateway:{wire.api}>{speaker.name}"


class GatewaySubject(HTTPSubject):
    """One client API in front of one provider type."""

    def __init__(self, gateway: Gateway, port: int, wire: WireFormat, speaker: Speaker, *, probed: bool) -> None:
        self.name = name_of(wire, speaker)
        self.wire, self.upstream = wire, speaker.wire
        self.model = speaker.model
        self.address = Address(f"http://127.0.0.1:{port}")
        depth: Depth = "encoder" if speaker.depth == "full" else "sample"
        self.traits = Traits(lossless=wire.api == speaker.wire.api, depth=depth, probed=probed)
        self._gateway = gateway

    def model_for(self, question: Question) -> str:
        return f"{self.model}-impatient" if question.impatient else self.model

    def _served(self) -> list[ServedModel]:
        return [self._gateway.generation.default.resolve(name)[0] for name in (self.model, f"{self.model}-impatient")]

    def counted(self) -> Usage:
        """From the counters behind /metrics."""
        metrics = [served.metrics for served in self._served()]
        prompt = sum(_value(one.prompt_tokens) for one in metrics)
        return Usage(input=prompt, output=sum(_value(one.completion_tokens) for one in metrics))

    def in_use(self) -> list[str]:
        open_ = len(self._gateway.exchanges)
        held = [found for served in self._served() for found in slots_of(served.provider)]
        return [f"{open_} requests under way"] * bool(open_) + held


def _value(counter: object) -> int:
    families = counter.collect()  # type: ignore[attr-defined]
    return int(sum(sample.value for family in families for sample in family.samples if sample.name.endswith("_total")))


NO_CONVERSATION = frozenset({"openai-completions", "passthrough"})
"""Client APIs that ask no provider for a model's answer through the model in the middle: they only relay."""


def client_apis() -> list[str]:
    """The APIs that the gateway offers for conversations. Imports none of them."""
    return [api for api in BUILTIN_APIS if api not in NO_CONVERSATION]


def client_wires() -> list[WireFormat]:
    """Of every such client API. Raises `SubjectError` for one that the suite cannot read, so that none is forgotten."""
    unread = [api for api in client_apis() if api not in WIRES]
    if unread:
        raise SubjectError(
            f"the gateway offers {unread[0]!r}, which the suite cannot read: add it to conformance/wires"
        )
    return [WIRES[api] for api in client_apis()]


def _probed(wire: WireFormat, speakers: Sequence[Speaker]) -> list[Speaker]:
    """The first speaker of the client's own API, and the first of another: one is relayed, the other is encoded."""
    readers = [speaker for speaker in speakers if speaker.depth == "full"]
    same = [speaker for speaker in readers if speaker.wire.api == wire.api]
    other = [speaker for speaker in readers if speaker.wire.api != wire.api]
    return same[:1] + other[:1]


@asynccontextmanager
async def open_gateway(
    speakers: Iterable[Speaker],
    clients: Sequence[WireFormat],
    url: str,
    *,
    wanted: Callable[[str], bool] = lambda name: True,
) -> AsyncIterator[list[GatewaySubject]]:
    """A gateway with a model for each speaker, pointed at `url`: a subject for each client API and each of them.

    Only subjects whose names are `wanted`, and models for them. Presets are left out: what they change is not seen from
    a client's side. Raises `SubjectError` if a configuration does not fit. On the way out the gateway is stopped as
    SIGTERM would.
    """
    configure_logging("error", "json")
    speakers = [speaker for speaker in speakers if not speaker.cls.metadata.preset_of]
    chosen = [(wire, speaker) for wire in clients for speaker in speakers if wanted(name_of(wire, speaker))]
    if not chosen:
        yield []
        return
    entries = [
        ModelEntry(
            name=speaker.model + ("-impatient" if impatient else ""),
            type=speaker.cls.metadata.name,
            provider_class=speaker.cls,
            config=complete_config(speaker.cls, url, speaker.config, impatient=impatient),
        )
        for speaker in speakers
        if any(speaker is one for _, one in chosen)
        for impatient in (False, True)
    ]
    project = ProjectConfig(name="default", models=tuple(entries))
    gateway_config = GatewayConfig(projects=(project,), server=ServerConfig(port=0))
    gateway = make_app(gateway_config, api_registry())
    shutdown = trio.Event()
    async with trio.open_nursery() as nursery:

        async def run(task_status: trio.TaskStatus[list[int]] = trio.TASK_STATUS_IGNORED) -> None:
            settings = ServerSettings(bind=["127.0.0.1:0"], graceful_timeout=1.0)
            await serve_in_task(gateway, settings, shutdown=shutdown, task_status=task_status)

        ports = await nursery.start(run)
        try:
            yield [
                GatewaySubject(gateway, ports[0], wire, speaker, probed=speaker in _probed(wire, speakers))
                for wire, speaker in chosen
            ]
        finally:
            shutdown.set()
