"""What clients can ask for, one operation a module. Each is what happens inside an exchange's cancel scope.

An operation may only use the exchange's public methods. It fills in the exchange's `outcome` on every way out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from proxy.exchange.operations.compact import compact
from proxy.exchange.operations.complete import complete
from proxy.exchange.operations.count_tokens import count_tokens
from proxy.exchange.operations.embed import embed
from proxy.exchange.operations.passthrough import passthrough
from proxy.exchange.operations.stored import stored

if TYPE_CHECKING:
    from proxy.exchange.exchange import Exchange

OPERATIONS: Mapping[str, Callable[[Exchange], Awaitable[None]]] = {
    "compact": compact,
    "complete": complete,
    "count_tokens": count_tokens,
    "embed": embed,
    "passthrough": passthrough,
    "stored": stored,
}
"""The operations that a client API's routes can name."""
