"""Checks what a plugin returned, and merges it into the request's context. Imports the SDK."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import UNSET

from providers.errors import GatewayError, kind_of_status
from providers.model import LLMRequest, LLMResponse
from proxy.plugins.base import Phase
from proxy.plugins.context import PluginContext
from proxy.plugins.result import ContextUpdate, PluginResult, changed
from proxy.routing.plan import RoutePlan

GO_ON = PluginResult()

_HEADER_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e\x80-\xff]*")
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection", "content-type", "content-encoding"})
"""The gateway's own: a plugin that set them would break the answer."""

_TYPES: Mapping[str, type] = {
    "request": LLMRequest,
    "response": LLMResponse,
    "chunk": LLMResponse,
    "target_model": str,
    "routes": RoutePlan,
    "user_id": str,
    "key_id": str,
    "experiment_id": str,
    "experiment_variant": str,
}
_ANSWERS = ("before_model", "on_model_error")
"""Phases in which a plugin that terminates must bring the answer itself."""


def fault_in(result: object, phase: Phase) -> str | None:
    """What is wrong with what a plugin returned; None: nothing. `result` None is fine, too."""
    if result is None:
        return None
    if not isinstance(result, PluginResult):
        return f"returned {type(result).__name__}; expected a PluginResult or None"
    error: object = result.error
    if error is not None and not isinstance(error, (str, GatewayError)):
        return f"error: expected text or a GatewayError, got {type(error).__name__}"
    status: object = result.status
    if status is not None and not (isinstance(status, int) and 400 <= status <= 599):
        return f"status: expected 400 to 599, got {status!r}"
    update = result.context
    if update is not None:
        fault = _fault_in_update(update)
        if fault is not None:
            return fault
    answers = bool(result.chunks) or (update is not None and update.response is not UNSET)
    if result.terminate and result.success and phase in _ANSWERS and not answers:
        return "terminate without an answer: expected context.response or chunks"
    chunks: object = result.chunks
    if chunks is not None and not (
        isinstance(chunks, Sequence) and all(isinstance(chunk, LLMResponse) for chunk in chunks)
    ):
        return "chunks: expected a list of LLMResponse"
    keep: object = result.keep
    if keep is not None and not isinstance(keep, LLMResponse):
        return f"keep: expected an LLMResponse, got {type(keep).__name__}"
    if result.continue_request and phase != "after_chunk":
        return f"continue_request has no meaning in {phase}"
    return None


def _fault_in_update(update: object) -> str | None:
    if not isinstance(update, ContextUpdate):
        return f"context: expected a ContextUpdate, got {type(update).__name__}"
    for name, expected in _TYPES.items():
        value = getattr(update, name)
        if value is not UNSET and not isinstance(value, expected):
            return f"context.{name}: expected {expected.__name__}, got {type(value).__name__}"
    if update.response is not UNSET and not update.response.choices and update.response.error is None:
        return "context.response: expected at least one choice"
    if update.routes is not UNSET and not update.routes.candidates:
        return "context.routes: expected at least one candidate"
    for name in ("metadata", "metrics", "response_headers"):
        if not isinstance(getattr(update, name), dict):
            return f"context.{name}: expected a dict"
    figures: dict[Any, Any] = update.metrics
    for name, figure in figures.items():
        if not isinstance(name, str) or not isinstance(figure, (int, float)):
            return f"context.metrics: expected names with figures, got {type(figure).__name__} for {str(name)[:60]!r}"
    for name, value in update.response_headers.items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name) or name in _FRAMING:
            return f"context.response_headers: {str(name)[:60]!r} is no header that a plugin may set (lower case)"
        if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
            return f"context.response_headers: the value of {name!r} is not fit for a header"
    return None


def merge(update: ContextUpdate | None, context: PluginContext) -> None:
    """Take a checked update over into the context. `chunk` is not looked at: the chain of chunks does that."""
    if update is None:
        return
    if update.request is not UNSET and update.request is not context.request:
        context.request = changed(update.request)
    if update.response is not UNSET and update.response is not context.response:
        context.response = changed(update.response) if context.response is not None else update.response
    for name in ("target_model", "routes", "user_id", "key_id", "experiment_id", "experiment_variant"):
        value = getattr(update, name)
        if value is not UNSET:
            setattr(context, name, value)
    if update.target_model is not UNSET and update.routes is UNSET:
        context.routes = None  # the later word counts
    if update.metadata:
        context.metadata = merged_deeply(context.metadata, update.metadata)
    if update.metrics:
        context.metrics = {**context.metrics, **update.metrics}
    if update.response_headers:
        context.response_headers = {**context.response_headers, **update.response_headers}


def merged_deeply(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """`old` with `new` laid over it, objects within objects too. Changes neither."""
    merged = dict(old)
    for key, value in new.items():
        before = merged.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            merged[key] = merged_deeply(before, value)
        else:
            merged[key] = value
    return merged


def refusal_of(result: PluginResult, default_status: int = 400) -> GatewayError:
    """The error that a result without success stands for."""
    error = result.error
    if isinstance(error, GatewayError):
        if result.status is not None:
            error.status = result.status
        return error
    status = result.status or default_status
    return GatewayError(error or "the request was refused", kind=kind_of_status(status), status=status)
