"""When a plugin takes part in a request. Imports the context; regular expressions are RE2's, in linear time.

A pattern is a prefix (`gpt-4`, `/v1/chat`), or a regular expression between slashes (`/^claude-.*-fast$/`), which may
match anywhere. Of the patterns of one key any may match; all keys that are given must.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
import re2

from proxy.plugins.context import PluginContext

Matcher = Callable[[str], bool]

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.never_capture = True


class Conditions(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """As in `gateway.yaml`. An empty one always holds."""

    paths: tuple[str, ...] = ()
    """Below the project's own prefix."""
    methods: tuple[str, ...] = ()
    headers: dict[str, str] = {}
    """By name, in any case. `""` as the pattern: the header is there. Credential headers are never seen."""
    user_ids: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    """The model to be asked; where there are several candidates, any of them."""


def compile_pattern(pattern: str) -> Matcher:
    """What tells whether a text matches. Raises ValueError for a regular expression that RE2 does not take."""
    if len(pattern) > 2 and pattern[0] == "/" == pattern[-1]:
        try:
            compiled = re2.compile(pattern[1:-1], _OPTIONS)
        except re2.error as error:
            detail = error.args[0] if error.args else ""
            shown = detail.decode("utf-8", "replace") if isinstance(detail, bytes) else str(detail)
            raise ValueError(f"{pattern!r} is no regular expression of RE2's: {shown}") from error
        return lambda text: compiled.search(text) is not None
    return lambda text: text.startswith(pattern)


def _any_of(patterns: Sequence[str]) -> Matcher:
    matchers = [compile_pattern(pattern) for pattern in patterns]
    if len(matchers) == 1:
        return matchers[0]
    return lambda text: any(matches(text) for matches in matchers)


class CompiledConditions:
    """Conditions, ready to be asked. Raises ValueError as `compile_pattern` does."""

    __slots__ = ("_checks",)

    def __init__(self, conditions: Conditions) -> None:
        checks: list[Callable[[PluginContext], bool]] = []
        if conditions.methods:
            methods = frozenset(method.upper() for method in conditions.methods)
            checks.append(lambda context: context.http_request.method in methods)
        if conditions.paths:
            path = _any_of(conditions.paths)
            checks.append(lambda context: path(context.http_request.path))
        if conditions.models:
            model = _any_of(conditions.models)
            checks.append(lambda context: any(map(model, _models_of(context))))
        if conditions.user_ids:
            user = _any_of(conditions.user_ids)
            checks.append(lambda context: context.user_id is not None and user(context.user_id))
        if conditions.headers:
            headers = {name.lower(): compile_pattern(pattern) for name, pattern in conditions.headers.items()}
            checks.append(lambda context: _headers_match(headers, context))
        self._checks = tuple(checks)

    def hold(self, context: PluginContext) -> bool:
        """Whether all of them hold now; plugins may change the model and the user on the way."""
        for check in self._checks:  # noqa: SIM110 - a generator costs more than the checks
            if not check(context):
                return False
        return True


def _headers_match(wanted: Mapping[str, Matcher], context: PluginContext) -> bool:
    headers = context.headers
    return all(name in headers and matches(headers[name]) for name, matches in wanted.items())


def _models_of(context: PluginContext) -> Sequence[str]:
    """The names of the models that may be asked, as far as is known by now."""
    if context.routes is not None:
        return [candidate.model for candidate in context.routes.candidates]
    return (context.target_model or context.request.model,)
