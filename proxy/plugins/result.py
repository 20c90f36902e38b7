"""`PluginResult`: what a plugin wants done, and `ContextUpdate`: what it wants changed. Imports the model.

Which field has which effect in which phase is said by the table in docs/plugins.md and proved by
tests/proxy/plugins/test_table.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from providers.errors import GatewayError
from providers.model import LLMRequest, LLMResponse
from proxy.routing.plan import RoutePlan

M = TypeVar("M", LLMRequest, LLMResponse)


class ContextUpdate(msgspec.Struct, kw_only=True):
    """The fields of the context that a plugin changes; what is not set stays.

    `metadata`, `metrics` and `response_headers` are merged key by key (nested objects in `metadata` too; of two plugins
    the later one wins); everything else replaces what was there.
    """

    request: LLMRequest | UnsetType = UNSET
    """The changed request. It is sent to the model in its new form in any case; see `changed`."""
    response: LLMResponse | UnsetType = UNSET
    """The changed whole answer (`after_model`), or the plugin's own answer (with `terminate`)."""
    chunk: LLMResponse | UnsetType = UNSET
    """`after_chunk`: what leaves instead of this chunk and of what was held back with it."""
    target_model: str | UnsetType = UNSET
    """The model to ask instead of the one that the client named."""
    routes: RoutePlan | UnsetType = UNSET
    """The models to try, in order. Wins over `target_model`."""
    user_id: str | UnsetType = UNSET
    key_id: str | UnsetType = UNSET
    experiment_id: str | UnsetType = UNSET
    experiment_variant: str | UnsetType = UNSET
    metadata: dict[str, Any] = {}
    metrics: dict[str, float] = {}
    response_headers: dict[str, str] = {}
    """Headers for the client's answer, names in lower case. Ignored once the answer's head was sent."""


class PluginResult(msgspec.Struct, kw_only=True):
    """What a phase of a plugin returns. `PluginResult()` and None mean the same: go on."""

    success: bool = True
    """False: the request ends here with `error`. It is a decision, not a failure: `onError` has no say in it."""
    status: int | None = None
    """The HTTP status of that error; default: the error's own, else 400."""
    error: GatewayError | str | None = None
    """What the client is told, in its API's own shape. No secrets in it."""
    context: ContextUpdate | None = None
    """Changes. They are merged before anything else in the result is looked at."""
    reevaluate_request: bool = False
    """Ask the model again, with the request as it is now; what it said so far is thrown away. At most `maxRetries`
    times, and never after the first byte has gone to the client. In `before_model`: hold the conditions of all plugins
    that have not run yet against the request once more. A plugin's `before_model` runs at most once for a request."""
    continue_request: bool = False
    """`after_chunk`: the model's turn ends here, without a finish; what this plugin and those inside it hold back is
    thrown away. The request as it is now is asked, and its answer goes on in the same stream. Counts towards
    `maxRetries`."""
    skip_remaining: bool = False
    """Leave out the remaining plugins of this phase (in `after_chunk`: for this chunk)."""
    terminate: bool = False
    """Stop here with the answer that there is. In `before_model` and `on_model_error`: with the plugin's own
    (`context.response` or `chunks`); no model is asked. In `after_chunk`: the stream ends well with this chunk."""
    emit_chunk: bool = True
    """`after_chunk`, False: hold this chunk back. It is merged with the next one (`context.buffered_chunk`)."""
    keep: LLMResponse | None = None
    """`after_chunk`: what stays held back, while the rest (`context.chunk`) leaves."""
    chunks: Sequence[LLMResponse] | None = None
    """With `terminate`: the plugin's own answer as a stream's chunks. A client that did not ask for a stream gets them
    folded into one answer; one that did gets a whole `response` as one chunk."""


def changed(message: M, **fields: Any) -> M:
    """A copy of a request, response or chunk with these fields replaced, to be encoded anew.

    As long as `raw` stands, the bytes that came are what is sent on, whatever the fields say; so it is dropped.
    """
    return msgspec.structs.replace(message, raw=None, **fields)
