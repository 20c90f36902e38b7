"""Where each service keeps responses: the path, the query and the credentials of every action on one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import openai
import pytest

from conformance.replay import Answer, Play, ReplayServer
from tests.support.gateway import serving

KEPT = b'{"id":"resp_1","object":"response","status":"completed","output":[]}'
ANSWER = Play(Answer(headers={"content-type": "application/json"}, body=KEPT))
DATED = "2025-03-01-preview"


class Service(NamedTuple):
    type: str
    below: str
    """The base URL's path."""
    config: dict[str, Any]
    path: str
    """Where responses are."""
    credentials: tuple[bytes, bytes]
    query: tuple[tuple[str, str], ...] = ()
    """What the service wants in every query."""


SERVICES = {
    "openai": Service("openai", "/v1", {"apiKey": "k"}, "/v1/responses", (b"authorization", b"Bearer k")),
    "groq": Service("groq", "/openai/v1", {"apiKey": "k"}, "/openai/v1/responses", (b"authorization", b"Bearer k")),
    "azure v1": Service("azure-openai", "", {"apiKey": "k"}, "/openai/v1/responses", (b"api-key", b"k")),
    "azure dated": Service(
        "azure-openai",
        "",
        {"apiKey": "k", "apiVersion": DATED},
        "/openai/responses",
        (b"api-key", b"k"),
        (("api-version", DATED),),
    ),
    "azure by a token": Service(
        "azure-openai", "", {"token": "t"}, "/openai/v1/responses", (b"authorization", b"Bearer t")
    ),
}

Ask = Callable[[openai.AsyncOpenAI], Awaitable[object]]
NAMED = {"model": "az"}
ACTIONS: dict[str, tuple[Ask, str, str, list[tuple[str, str]]]] = {
    "get": (
        lambda client: client.responses.retrieve("resp_1", include=["file_search_call.results"], extra_query=NAMED),
        "GET",
        "/resp_1",
        [("include[]", "file_search_call.results")],
    ),
    "cancel": (lambda client: client.responses.cancel("resp_1", extra_query=NAMED), "POST", "/resp_1/cancel", []),
    "delete": (lambda client: client.responses.delete("resp_1", extra_query=NAMED), "DELETE", "/resp_1", []),
    "input_items": (
        lambda client: client.responses.input_items.list(
            "resp_1", after="msg_1", limit=5, order="asc", include=["reasoning.encrypted_content"], extra_query=NAMED
        ),
        "GET",
        "/resp_1/input_items",
        [("after", "msg_1"), ("include[]", "reasoning.encrypted_content"), ("limit", "5"), ("order", "asc")],
    ),
}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("service", SERVICES)
async def test_every_action_goes_where_the_service_keeps_responses(service: str, action: str) -> None:
    there = SERVICES[service]
    ask, method, path, query = ACTIONS[action]
    async with ReplayServer(ANSWER) as upstream:
        config = {"baseUrl": upstream.url + there.below, "api": "responses", "model": "my deployment", **there.config}
        async with serving([{"name": "az", "type": there.type, "config": config}]) as gateway:
            async with gateway.openai() as client:
                await ask(client)
        [request] = upstream.requests
    target, _, sent = request.target.partition("?")
    assert (request.method, target) == (method, there.path + path)
    assert sorted(parse_qsl(sent, strict_parsing=bool(sent))) == sorted([*query, *there.query])
    assert {name: value for name, value in request.headers if name in (b"authorization", b"api-key")} == dict(
        [there.credentials]
    )


async def test_an_azure_clients_own_version_gives_way_to_the_models() -> None:
    config = {"api": "responses", "apiKey": "k", "apiVersion": DATED}
    async with ReplayServer(ANSWER) as upstream:
        async with serving(
            [{"name": "m", "type": "azure-openai", "config": {"baseUrl": upstream.url, **config}}]
        ) as at:
            async with at.openai(base_url=f"{at.url}/openai", default_query={"api-version": "2024-10-21"}) as client:
                await client.responses.retrieve("resp_1")
        [request] = upstream.requests
    assert request.target == f"/openai/responses/resp_1?api-version={DATED}"


async def test_an_id_may_look_like_a_piece_of_the_path() -> None:
    config = {"api": "responses", "apiKey": "k"}
    async with ReplayServer(ANSWER) as upstream:
        async with serving([{"name": "m", "type": "openai", "config": {"baseUrl": upstream.url, **config}}]) as gateway:
            async with gateway.openai() as client:
                await client.responses.cancel("res")
        [request] = upstream.requests
    assert request.target == "/responses/res/cancel"
