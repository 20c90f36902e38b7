"""Orders in which targets are asked. Pure functions of what is known of the models; the best comes first."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from random import Random

import msgspec

from proxy.plugins.builtin.model_router.settings import Strategy, Target
from proxy.routing.health import ModelHealth


class Knowledge(msgspec.Struct, kw_only=True):
    """What a strategy may look at."""

    health: Callable[[str], ModelHealth | None]
    """How a model has been doing, if there is one of that name."""
    random: Random
    key: str
    """Who asks, for strategies that stay with a user."""


Order = Callable[[Sequence[Target], Knowledge], list[str]]


def _in_order(targets: Sequence[Target], knowledge: Knowledge) -> list[str]:
    return [target.model for target in targets]


def _weighted(targets: Sequence[Target], knowledge: Knowledge) -> list[str]:
    """By chance without replacement: each place goes to one of those left, in proportion to the weights.

    An exponential clock for each target, the faster the heavier; the order in which they ring has that distribution.
    """
    rings = [(knowledge.random.expovariate(target.weight), place) for place, target in enumerate(targets)]
    return [targets[place].model for _, place in sorted(rings)]


def _least_busy(targets: Sequence[Target], knowledge: Knowledge) -> list[str]:
    def load(target: Target) -> float:
        health = knowledge.health(target.model)
        return ((health.in_flight if health is not None else 0) + 1) / target.weight

    # Among equals chance decides: else all quiet moments would send everything to the first.
    return [target.model for target in sorted(targets, key=lambda target: (load(target), knowledge.random.random()))]


def _lowest_latency(targets: Sequence[Target], knowledge: Knowledge) -> list[str]:
    def seconds(target: Target) -> float:
        health = knowledge.health(target.model)
        if health is None or health.average is None:
            return 0.0
        return health.average / target.weight

    return [target.model for target in sorted(targets, key=seconds)]


def _sticky(targets: Sequence[Target], knowledge: Knowledge) -> list[str]:
    """Rendezvous hashing with weights: a user's order changes only where a target comes or goes."""

    def score(target: Target) -> float:
        digest = hashlib.blake2b(f"{knowledge.key}\0{target.model}".encode(), digest_size=8).digest()
        fraction = (int.from_bytes(digest) + 1) / (2**64 + 1)
        return -target.weight / math.log(fraction)

    return [target.model for target in sorted(targets, key=score, reverse=True)]


ORDERS: Mapping[Strategy, Order] = {
    "order": _in_order,
    "weighted": _weighted,
    "least-busy": _least_busy,
    "lowest-latency": _lowest_latency,
    "sticky": _sticky,
}
