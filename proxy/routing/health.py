"""`ModelHealth`: how a model has been doing, from the real outcomes of its requests. Imports only the errors.

What is kept is O(1) for each model, and fed by whoever asks it (`race`). Nothing is decided here but what a breaker
needs: after some failures in a row it is *open* (the model is left alone) until its cooldown is over; then one request
at a time is let through as a probe, and the first whole answer closes it again. Times are seconds on trio's clock.
"""

from __future__ import annotations

import math

from providers.errors import ErrorKind, GatewayError

SMOOTHING = 0.2
"""The weight of a new measurement in the average latency: about the last ten requests count."""

MAX_COOLDOWN = 3600.0
"""A provider's Retry-After is believed up to this long."""

HARMLESS = frozenset(
    {
        ErrorKind.INVALID_REQUEST,
        ErrorKind.UNPROCESSABLE,
        ErrorKind.TOO_LARGE,
        ErrorKind.CONFLICT,
        ErrorKind.NOT_FOUND,
        ErrorKind.UNAVAILABLE,
    }
)
"""Errors that say nothing about the model's health: the request's own, and the gateway's."""


class BreakerPolicy:
    """When a model is left alone."""

    __slots__ = ("cooldown", "failures")

    def __init__(self, *, failures: int = 5, cooldown: float = 30.0) -> None:
        self.failures = failures
        """So many failures in a row open the breaker."""
        self.cooldown = cooldown
        """Seconds from the last failure until a request is let through again."""


class ModelHealth:
    """The state of one model in this process. Not awaited: every method returns at once."""

    __slots__ = ("average", "failed_at", "failures", "in_flight", "limited_until", "probe_at", "requests")

    def __init__(self) -> None:
        self.requests = 0
        """Asked so far."""
        self.in_flight = 0
        """Being asked now."""
        self.failures = 0
        """In a row, up to now."""
        self.failed_at = -math.inf
        self.limited_until = -math.inf
        """Until when the provider itself has asked to be left alone (Retry-After)."""
        self.average: float | None = None
        """Seconds from the request to the first token, or to the whole answer: a moving average. None: not known."""
        self.probe_at = -math.inf
        """When the request was let through an open breaker of which it is not known yet what came of it."""

    # -- outcomes -----------------------------------------------------------------------------------------------------

    def started(self) -> None:
        self.requests += 1
        self.in_flight += 1

    def ended(self) -> None:
        """Once for each `started`, whatever came of it."""
        self.in_flight -= 1

    def measured(self, seconds: float) -> None:
        """An answer began, or came whole, after so long. Whether it ends well is not known yet."""
        self.average = seconds if self.average is None else self.average + SMOOTHING * (seconds - self.average)

    def silent(self, seconds: float) -> None:
        """A request was given up after so long without a token. It would have taken longer still: that tells
        something only where less was thought."""
        if self.average is None or seconds > self.average:
            self.measured(seconds)

    def succeeded(self) -> None:
        """An answer came to its end."""
        self.failures = 0
        self.probe_at = -math.inf

    def failed(self, error: GatewayError, now: float) -> None:
        """A request failed. Errors that are not the model's do not count."""
        if error.kind in HARMLESS:
            return
        self.failures += 1
        self.failed_at = now
        if error.retry_after is not None:
            self.limited_until = max(self.limited_until, now + min(error.retry_after, MAX_COOLDOWN))

    # -- judgement ----------------------------------------------------------------------------------------------------

    def is_open(self, policy: BreakerPolicy, now: float) -> bool:
        """Whether the model is better left alone."""
        if now < self.limited_until:
            return True
        if self.failures < policy.failures:
            return False
        if now < self.failed_at + policy.cooldown:
            return True
        return now < self.probe_at + policy.cooldown  # somebody is trying it already

    def probe(self, policy: BreakerPolicy, now: float) -> bool:
        """Say that a request is about to be sent. True: it goes through a breaker whose cooldown is over, and is the
        only one until it is known what came of it, or another cooldown has passed; `give_back(now)` is due when it is
        over."""
        if self.failures < policy.failures or self.is_open(policy, now):
            return False
        self.probe_at = now
        return True

    def give_back(self, at: float) -> None:
        """The probe of that moment is over. If nothing came of it (it was cancelled, or never sent, or the request was
        wrong in itself), the next request is one."""
        if self.probe_at == at:
            self.probe_at = -math.inf

    def closes_at(self, policy: BreakerPolicy) -> float:
        """When an open breaker lets the next request through."""
        held = max(self.failed_at, self.probe_at) + policy.cooldown if self.failures >= policy.failures else -math.inf
        return max(held, self.limited_until)
