"""`RoutePlan`: the models that may answer a request, as data. Imports the errors and the retry budget.

A plugin makes one in `before_model` (`ContextUpdate.routes`); without it, the model that the client named is the only
candidate. Whoever executes a plan goes through it only as long as the client has not been sent a byte.
"""

from __future__ import annotations

import msgspec

from providers.errors import ErrorKind, GatewayError, ProviderError, RequestError
from providers.retry_budget import RetryBudget


class Candidate(msgspec.Struct, frozen=True):
    """One model that may be asked."""

    model: str
    """A model's name as a client would give it: an entry's name, or one that a pattern or the default takes."""


class RoutePlan(msgspec.Struct, frozen=True, kw_only=True):
    """Candidates in order, and when to go on to the next. Times in seconds."""

    candidates: tuple[Candidate, ...]
    """At least one. The first is asked first."""
    hedge_after: float | None = None
    """Ask the next candidate too when the first has been silent for so long; the first token wins. None: never."""
    on_kinds: frozenset[ErrorKind] | None = None
    """Errors after which the next candidate is tried. None: those that another model may not have."""
    deadline: float | None = None
    """How long all tries together may take before the answer begins. None: the request's own deadline only."""
    choice: tuple[tuple[str, ...], ...] | None = None
    """What was decided, whatever order chance, load and health have put the candidates in: plans that are equal here
    may stand for one another, and a cache keeps their answers together. None: the candidates themselves."""
    budget: RetryBudget | None = None
    """Who pays for every request beyond the first: fallbacks, hedges, and what providers try again. None: free."""

    def goes_on_after(self, error: GatewayError) -> bool:
        """Whether the next candidate may be tried after `error`. Never after one that the request itself caused."""
        if self.on_kinds is not None:
            return error.kind in self.on_kinds
        if isinstance(error, RequestError):
            return False
        return error.kind in _OTHERS_MAY_DO or (isinstance(error, ProviderError) and error.retryable)


_OTHERS_MAY_DO = frozenset(
    {
        ErrorKind.AUTHENTICATION,
        ErrorKind.PERMISSION,
        ErrorKind.BILLING,
        ErrorKind.NOT_FOUND,
        ErrorKind.TOO_LARGE,
        ErrorKind.TIMEOUT,
        ErrorKind.CONNECTION,
        ErrorKind.BAD_RESPONSE,
        ErrorKind.OVERLOADED,
        ErrorKind.RATE_LIMIT,
        ErrorKind.SERVER,
    }
)
"""What is wrong with one provider (its key, its quota, its limits, its health) need not be wrong with the next."""
