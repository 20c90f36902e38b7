"""Which client API and operation a method and a path lead to."""

from __future__ import annotations

from typing import cast

import pytest

from proxy.apis.base import ClientAPI
from proxy.apis.routes import RouteTable, split_route


class Spoken:
    def __init__(self, base_paths: tuple[str, ...], operations: dict[str, str]) -> None:
        self.base_paths = base_paths
        self.operations = operations


STORED = Spoken(
    ("/v1", "/openai/v1", "/openai"),
    {"/responses": "complete", "GET /responses/{id}": "fetch", "POST /responses/{id}/cancel": "cancel"},
)
MODELS = Spoken(("/v1beta",), {"/models/{model*}:generate": "complete", "/models/{model*}:count": "count_tokens"})
LATER = Spoken(("/v1",), {"/responses": "never", "/other": "complete"})
TABLE = RouteTable([cast(ClientAPI, api) for api in (STORED, MODELS, LATER)])


@pytest.mark.parametrize(
    ("method", "path", "operation", "params"),
    [
        ("POST", "/v1/responses", "complete", {}),
        ("POST", "/openai/responses", "complete", {}),
        ("GET", "/v1/responses/resp_1", "fetch", {"id": "resp_1"}),
        ("POST", "/openai/v1/responses/a.b/cancel", "cancel", {"id": "a.b"}),
        ("POST", "/v1beta/models/gemini-3:generate", "complete", {"model": "gemini-3"}),
        ("POST", "/v1beta/models/a/b:c:count", "count_tokens", {"model": "a/b:c"}),
        ("POST", "/v1beta/models/a\nb:count", "count_tokens", {"model": "a\nb"}),
        ("POST", "/v1/other", "complete", {}),
        ("GET", "/v1/responses", None, {}),
        ("GET", "/v1/responses/", None, {}),
        ("GET", "/v1/responses/a/b", None, {}),
        ("GET", "/v1/responses/a/", None, {}),
        ("POST", "/v1beta/models/:generate", None, {}),
        ("POST", "/v1betaXmodels/a:generate", None, {}),
        ("POST", "/v1/responses/a/cancel/b", None, {}),
        ("POST", "/", None, {}),
    ],
)
def test_match(method: str, path: str, operation: str | None, params: dict[str, str]) -> None:
    match = TABLE.match(method, path)
    if operation is None:
        assert match is None
        return
    assert match is not None
    assert (match.operation, dict(match.params)) == (operation, params)


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/responses", ["POST"]),
        ("/v1/responses/x", ["GET"]),
        ("/v1beta/models/x:generate", ["POST"]),
        ("/v1/models", []),
    ],
)
def test_allowed(path: str, methods: list[str]) -> None:
    assert TABLE.allowed(path) == methods


def test_a_path_s_errors_have_the_shape_of_its_route_s_api_else_of_the_longest_base() -> None:
    assert TABLE.api_of("/v1/other") is LATER
    assert TABLE.api_of("/v1/nothing") is STORED
    assert TABLE.api_of("/v1beta/models/x:generate") is MODELS
    assert TABLE.api_of("/openai/v1/nothing") is STORED
    assert TABLE.api_of("/nowhere") is None


def test_a_route_without_a_method_is_a_post() -> None:
    assert split_route("/a/{b}") == ("POST", "/a/{b}")
    assert split_route("DELETE /a") == ("DELETE", "/a")
