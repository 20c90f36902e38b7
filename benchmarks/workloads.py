"""What is run through each subject. Imports nothing of this package."""

from __future__ import annotations

import json

import msgspec


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of load, at one size."""

    name: str
    group: str
    about: str
    metric: str
    """The figure that subjects are compared by: a key of the load generator's result (`lag_us.p99`)."""
    unit: str
    more_is_better: bool = True
    route: str = "openai>openai"
    stream: bool = False
    orders: str = ""
    """For the mock, see mock.c."""
    connections: int = 32
    seconds: float = 0
    """Closed loop for so long; else each connection makes `each` requests."""
    limit: float = 0
    """The longest that a run without `seconds` may take."""
    each: int = 0
    requests: int = 0
    warmup: float = 0.5
    ramp: float = 0
    events: int = 0
    """Events in a whole stream."""
    abandon: float = 0
    abandon_ms: float = 0
    x: float = 0
    """Where a plot puts it: streams, connections or requests."""
    fresh: bool = False
    """Needs a process of its own for each run."""

    def body(self, model: str) -> bytes:
        """The request: a short conversation whose last text carries the mock's orders."""
        text = f"What is a gateway good for? Answer in a short paragraph. bench:{self.orders};"
        body: dict[str, object] = {
            "model": model,
            "messages": [
                {"role": "user", "content": "Hello! I have a question about networks."},
                {"role": "assistant", "content": "Hello! Ask away, I shall be glad to help."},
                {"role": "user", "content": text},
            ],
            "max_tokens": 1024,
            "temperature": 0.7,
        }
        if self.stream:
            body["stream"] = True
        return json.dumps(body).encode()

    def arguments(self) -> list[str]:
        """For load.c, the address aside."""
        pairs = {
            "connections": self.connections,
            "seconds": self.warmup + self.seconds if self.seconds else self.limit,
            "each": self.each,
            "requests": self.requests,
            "warmup": self.warmup,
            "ramp": self.ramp,
            "events": self.events if not self.abandon else 0,
            "abandon": self.abandon,
            "abandon-ms": self.abandon_ms,
            # The run's own limit ends a long stream; a shorter wait would call a slow subject a broken one.
            "timeout": max(30, self.limit),
        }
        options = [part for key, value in pairs.items() if value for part in (f"--{key}", str(value))]
        return options if self.stream else [*options, "--expect", "mock-answer"]


GROUPS = {
    "nonstream": "whole answers, 32 connections",
    "burst": "100-event streams as fast as possible, 32 connections",
    "cross": "the client's API is not the provider's: both directions, whole answers and streams",
    "paced": "streams at a model's pace, 50 events/s each: the lag that the subject adds to each event",
    "sweep": "whole answers against the number of connections",
    "slow5000": "5,000 streams open at once, one event a second each",
    "churn": "half of the streams abandoned at a random moment: does the provider's side close?",
    "memory": "resident memory after many requests, 30 % of them abandoned",
    "startup": "time until it listens, and idle memory",
}

QUICK = ("nonstream", "burst", "paced")


def workloads(groups: list[str], *, quick: bool) -> list[Workload]:
    """The workloads of these groups, at the sizes of quick or full mode. Raises `KeyError` for an unknown group."""
    return [w for group in groups for w in _BUILD[group](quick)]


def _nonstream(quick: bool) -> list[Workload]:
    return [_whole("nonstream", "nonstream", "openai>openai", quick)]


def _whole(name: str, group: str, route: str, quick: bool, connections: int = 32) -> Workload:
    return Workload(
        name=name,
        group=group,
        about=f"{GROUPS[group]} ({route}, {connections} connections)" if group != "nonstream" else GROUPS[group],
        metric="requests_per_s",
        unit="requests/s",
        route=route,
        connections=connections,
        seconds=2 if quick else 6,
        x=connections,
    )


def _events(name: str, group: str, route: str, quick: bool, batch: int = 10) -> Workload:
    return Workload(
        name=name,
        group=group,
        about=f"{GROUPS['burst']}, {batch} to a write ({route})",
        metric="events_per_s",
        unit="events/s",
        route=route,
        stream=True,
        orders=f"n=100,r=0,b={batch}",
        events=100,
        seconds=2 if quick else 6,
    )


def _burst(quick: bool) -> list[Workload]:
    runs = [_events("burst", "burst", "openai>openai", quick)]
    if not quick:
        runs.append(_events("burst-anthropic", "burst", "anthropic>anthropic", quick))
        # One event to a write costs the mock a system call each: here it is soon the limit itself.
        runs.append(_events("burst-single", "burst", "openai>openai", quick, batch=1))
    return runs


def _cross(quick: bool) -> list[Workload]:
    runs = []
    for short, route in (("a2o", "anthropic>openai"), ("o2a", "openai>anthropic")):
        runs.append(_whole(f"cross-nonstream-{short}", "cross", route, quick))
        runs.append(_events(f"cross-burst-{short}", "cross", route, quick))
    return runs


def _paced(quick: bool) -> list[Workload]:
    seconds = 4 if quick else 10
    return [
        Workload(
            name=f"paced-{streams}",
            group="paced",
            about=f"{streams} streams x 50 events/s, {seconds} s: one-way lag of an event, p99",
            metric="lag_us.p99",
            unit="us",
            more_is_better=False,
            stream=True,
            orders=f"n={50 * seconds},r=50",
            connections=streams,
            each=1,
            events=50 * seconds,
            ramp=0.5,
            warmup=1,
            limit=seconds * 2 + 5,
            x=streams,
        )
        for streams in ((300,) if quick else (50, 100, 200, 300, 400, 700, 1000))
    ]


def _sweep(quick: bool) -> list[Workload]:
    counts = (4, 32, 128) if quick else (1, 4, 16, 32, 64, 128, 256, 512)
    return [_whole(f"sweep-{n}", "sweep", "openai>openai", True, n) for n in counts]


def _slow5000(quick: bool) -> list[Workload]:
    streams, events, ramp = (1000, 6, 2) if quick else (5000, 20, 5)
    return [
        Workload(
            name=f"slow{streams}",
            group="slow5000",
            about=f"{streams} streams open at once, 1 event/s each, for {events} s: one-way lag of an event, p99",
            metric="lag_us.p99",
            unit="us",
            more_is_better=False,
            stream=True,
            orders=f"n={events},r=1",
            connections=streams,
            each=1,
            events=events,
            ramp=ramp,
            warmup=ramp + 1,
            limit=ramp + events * 2 + 15,
            x=streams,
            fresh=True,
        )
    ]


def _churn(quick: bool) -> list[Workload]:
    return [
        Workload(
            name="churn",
            group="churn",
            about="64 connections, streams of 20 events in 100 ms after 20 ms of silence, half abandoned within 120 ms",
            metric="requests_per_s",
            unit="whole answers/s",
            stream=True,
            orders="n=20,r=200,d=20",
            connections=64,
            seconds=3 if quick else 10,
            abandon=0.5,
            abandon_ms=120,
        )
    ]


def _memory(quick: bool) -> list[Workload]:
    return [
        Workload(
            name=f"memory-{count}",
            group="memory",
            about=f"resident memory after {count} streamed requests, 30 % abandoned",
            metric="rss_after_mb",
            unit="MiB",
            more_is_better=False,
            stream=True,
            orders="n=10,b=5,d=2",
            connections=64,
            requests=count,
            limit=20 if quick else 180,
            abandon=0.3,
            abandon_ms=4,
            x=count,
            fresh=True,
        )
        for count in ((2_000, 10_000) if quick else (10_000, 100_000))
    ]


def _startup(quick: bool) -> list[Workload]:
    return [
        Workload(
            name="startup",
            group="startup",
            about="time from the start of the process until its port accepts",
            metric="listen_ms",
            unit="ms",
            more_is_better=False,
            fresh=True,
        )
    ]


_BUILD = {
    "nonstream": _nonstream,
    "burst": _burst,
    "cross": _cross,
    "paced": _paced,
    "sweep": _sweep,
    "slow5000": _slow5000,
    "churn": _churn,
    "memory": _memory,
    "startup": _startup,
}
