"""How a process makes its app: an importable function and what to call it with. Picklable if the arguments are."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import cast

from proxy.server.app import GatewayApp

AppFunction = Callable[..., GatewayApp]


class AppFactory:
    """`function` is `"module:name"`, or the function itself (for several workers: one at a module's top level)."""

    def __init__(self, function: str | AppFunction, arguments: tuple[object, ...]) -> None:
        self._function = function
        self._arguments = arguments

    def make(self) -> GatewayApp:
        """Import the function and call it. Raises what it raises, `ImportError` and `AttributeError`."""
        function = self._function
        if isinstance(function, str):
            module, _, name = function.partition(":")
            function = cast(AppFunction, getattr(importlib.import_module(module), name))
        return function(*self._arguments)
