"""From a request's method and path to the client API and operation that answer it. Imports only `ClientAPI`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from proxy.apis.base import ClientAPI, Operation

_PARAM = re.compile(r"\{(\w+)(\*?)\}")


class Match(NamedTuple):
    api: ClientAPI
    operation: Operation
    params: Mapping[str, str]


class _Template(NamedTuple):
    pattern: re.Pattern[str]
    api: ClientAPI
    operation: Operation


class RouteTable:
    """The LLM routes of some client APIs. Immutable.

    A path without braces costs one dict lookup. Templates are tried after them, in the APIs' order; where two APIs have
    the same path the first one answers.
    """

    def __init__(self, apis: Sequence[ClientAPI]) -> None:
        self._apis = tuple(apis)
        self._exact: dict[str, dict[str, Match]] = {}
        self._templates: dict[str, list[_Template]] = {}
        for api in apis:
            for base in api.base_paths:
                for route, operation in api.operations.items():
                    method, path = split_route(route)
                    self._add(method, base + path, api, operation)

    def _add(self, method: str, path: str, api: ClientAPI, operation: Operation) -> None:
        if "{" in path:
            self._templates.setdefault(method, []).append(_Template(_compile(path), api, operation))
        else:
            self._exact.setdefault(path, {}).setdefault(method, Match(api, operation, {}))

    @staticmethod
    def first_segments(apis: Iterable[ClientAPI | type[ClientAPI]]) -> frozenset[str]:
        """What the APIs' paths begin with, and so no project can be called."""
        paths = [base + split_route(route)[1] for api in apis for base in api.base_paths for route in api.operations]
        return frozenset(path.split("/")[1] for path in paths if path.startswith("/"))

    def match(self, method: str, path: str) -> Match | None:
        """Who answers `method` at `path`; None: no LLM route."""
        methods = self._exact.get(path)
        if methods is not None:
            found = methods.get(method)
            if found is not None:
                return found
        for pattern, api, operation in self._templates.get(method, ()):
            fitting = pattern.fullmatch(path)
            if fitting is not None:
                return Match(api, operation, fitting.groupdict())
        return None

    def allowed(self, path: str) -> list[str]:
        """The methods that `path` takes as an LLM route, sorted; none: it is no LLM route."""
        methods = set(self._exact.get(path, ()))
        for method, templates in self._templates.items():
            if any(template.pattern.fullmatch(path) for template in templates):
                methods.add(method)
        return sorted(methods)

    def api_of(self, path: str) -> ClientAPI | None:
        """The client API whose error shape fits a path: its route's, else the one with the longest base path."""
        for method in self.allowed(path):
            found = self.match(method, path)
            if found is not None:
                return found.api
        return _longest((base, api) for api in self._apis for base in api.base_paths if path.startswith(base + "/"))


def split_route(route: str) -> tuple[str, str]:
    """Method and path of a route as client APIs write it."""
    method, _, path = route.rpartition(" ")
    return method or "POST", path


def _compile(path: str) -> re.Pattern[str]:
    pieces: list[str] = []
    end = 0
    for param in _PARAM.finditer(path):
        name, many = param.groups()
        pieces += [re.escape(path[end : param.start()]), f"(?P<{name}>{'.+' if many else '[^/]+'})"]
        end = param.end()
    return re.compile("".join([*pieces, re.escape(path[end:])]), re.DOTALL)


def _longest(fitting: Iterable[tuple[str, ClientAPI]]) -> ClientAPI | None:
    found = max(fitting, key=lambda pair: len(pair[0]), default=None)
    return found[1] if found is not None else None
