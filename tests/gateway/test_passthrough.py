"""A provider's own API through the gateway: credentials swapped, bodies as they come, and only what is allowed."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any

import httpx
import openai
import pytest
import trio

from conformance.replay import Answer, Play, ReplayServer
from tests.providers.transport.support import Peer, serve
from tests.support.client import RawClient
from tests.support.gateway import serving, wait_until
from tests.support.raw_client import fetch

JSON = {"content-type": "application/json"}
FILES = ["/files", "/files/*", "/files/*/content", "DELETE /batches/*"]


def entry(url: str, paths: list[str] | None = FILES, **config: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": "m",
        "type": "openai",
        "config": {"baseUrl": f"{url}/v1", "apiKey": "sk-own", "retryAttempts": 0, **config},
    }
    return made if paths is None else {**made, "passthrough": {"paths": paths}}


def play(body: bytes = b'{"id":"file-1"}', status: int = 200, **headers: str) -> Play:
    return Play(Answer(status=status, headers={**JSON, **headers}, body=body))


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_any_method_goes_through_with_the_models_credentials(method: str) -> None:
    async with ReplayServer(play(b"not json at all", 207, **{"x-odd": "1", "set-cookie": "a=b"})) as upstream:
        async with serving([entry(upstream.url)]) as gateway, gateway.http() as http:
            answer = await http.request(
                method,
                "/passthrough/m/files/a%20b?limit=5&key=client",
                content=b"body" if method not in ("GET", "OPTIONS") else None,
                headers={
                    "authorization": "Bearer client",
                    "x-api-key": "client",
                    "api-key": "client",
                    "x-goog-api-key": "client",
                    "cookie": "client=1",
                    "connection": "keep-alive, x-hop",
                    "x-hop": "1",
                    "x-forwarded-for": "10.0.0.1",
                    "x-mine": "kept",
                },
            )
        [request] = upstream.requests
    assert (answer.status_code, answer.content) == (207, b"not json at all")
    assert answer.headers["x-odd"] == "1"
    assert answer.headers["x-triway-model"] == "m"
    assert "set-cookie" not in answer.headers
    assert request.method == method
    assert request.target == "/v1/files/a%20b?limit=5"
    assert request.header(b"authorization") == b"Bearer sk-own"
    assert request.header(b"x-mine") == b"kept"
    assert b"client" not in b"".join(value for _, value in request.headers)
    assert request.header(b"x-hop") is None
    assert request.header(b"x-forwarded-for") is None
    assert request.body == (b"body" if method not in ("GET", "OPTIONS") else b"")


async def test_the_official_sdk_uploads_lists_and_deletes_files() -> None:
    file = {"id": "file-1", "object": "file", "bytes": 5, "created_at": 1, "filename": "a.txt", "purpose": "batch"}
    listed = {"object": "list", "data": [{**file, "status": "processed"}], "has_more": False}
    plays = [play(json.dumps({**file, "status": "processed"}).encode()), play(json.dumps(listed).encode())]
    async with ReplayServer(plays) as upstream:
        async with serving([entry(upstream.url)]) as gateway:
            client = openai.AsyncOpenAI(base_url=f"{gateway.url}/passthrough/m", api_key="sk-client", max_retries=0)
            async with client:
                made = await client.files.create(file=("a.txt", io.BytesIO(b"hello")), purpose="batch")
                found = [one.id async for one in client.files.list()]
        upload = upstream.requests[0]
    assert made.id == "file-1"
    assert found == ["file-1"]
    assert upload.target == "/v1/files"
    assert (upload.header(b"content-type") or b"").startswith(b"multipart/form-data; boundary=")
    assert b"hello" in upload.body


async def test_a_head_has_no_body() -> None:
    async def head(peer: Peer) -> None:
        await peer.request()
        await peer.stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\nx-odd: 1\r\n\r\n")

    async with serve(head) as upstream, serving([entry(upstream.url)]) as gateway, gateway.http() as http:
        answer = await http.head("/passthrough/m/files")
        assert (answer.status_code, answer.content, answer.headers["x-odd"]) == (200, b"", "1")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/passthrough/m/admin", 403),
        ("/passthrough/m/batches/1", 403),  # only DELETE
        ("/passthrough/m/files/a%2Fb", 400),
        ("/passthrough/m/files/%2e%2e/admin", 400),
        ("/passthrough/m/files//x", 400),
        ("/passthrough/none/files", 404),
        ("/passthrough/m", 404),
        ("/passthrough/m/", 404),
        ("/passthrough/models", 404),
    ],
)
async def test_what_is_not_allowed_never_leaves(path: str, status: int) -> None:
    async with ReplayServer(play()) as upstream, serving([entry(upstream.url)]) as gateway:
        async with httpx.AsyncClient(base_url=gateway.url, trust_env=False) as http:
            answer = await http.request("POST", path, content=b"secret")
            again = await http.get("/health")  # the connection is not out of step
        assert upstream.requests == []
    assert answer.status_code == status
    assert answer.json()["error"]["message"]
    assert again.status_code == 200


async def test_it_is_off_unless_the_model_allows_it() -> None:
    async with ReplayServer(play()) as upstream, serving([entry(upstream.url, None)]) as gateway:
        async with gateway.http() as http:
            answer = await http.get("/passthrough/m/files")
        assert upstream.requests == []
    assert answer.status_code == 403
    assert "passes nothing through" in answer.json()["error"]["message"]


async def test_a_name_with_a_slash_is_written_encoded() -> None:
    async with ReplayServer(play()) as upstream:
        async with serving([{**entry(upstream.url), "name": "org/m"}]) as gateway, gateway.http() as http:
            answer = await http.get("/passthrough/org%2Fm/files")
    assert answer.headers["x-triway-model"] == "org/m"


async def test_a_refused_key_is_not_shown_to_the_client() -> None:
    async with ReplayServer(play(b'{"error":{"message":"bad key sk-own"}}', 401)) as upstream:
        async with serving([entry(upstream.url)]) as gateway, gateway.http() as http:
            answer = await http.get("/passthrough/m/files")
    assert answer.status_code == 401
    assert "sk-own" not in answer.text


async def test_bodies_are_not_held_back_in_either_direction() -> None:
    arrived = trio.Event()
    heard = trio.Event()

    async def service(peer: Peer) -> None:
        assert await peer.head() is not None
        assert await peer.exactly(10) == b"5\r\nfirst\r\n"
        arrived.set()
        assert await peer.exactly(16) == b"6\r\nsecond\r\n0\r\n\r\n"
        await peer.stream.send_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n")
        await heard.wait()
        await peer.stream.send_all(b"3\r\ntwo\r\n0\r\n\r\n")

    with trio.fail_after(20):
        async with serve(service) as upstream, serving([entry(upstream.url)]) as gateway:
            async with RawClient(gateway.port) as client:
                head = b"POST /passthrough/m/files HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n"
                await client.send(head + b"5\r\nfirst\r\n")
                await arrived.wait()  # the service has the first piece before the second is made
                await client.send(b"6\r\nsecond\r\n0\r\n\r\n")
                await client.read_until(b"one")
                heard.set()
                await client.read_until(b"two\r\n0\r\n\r\n")


async def test_a_client_that_leaves_closes_the_upstream_connection_and_counts_as_499() -> None:
    gone = trio.Event()

    async def service(peer: Peer) -> None:
        await peer.request()
        await peer.stream.send_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n")
        if not await peer.more():
            gone.set()

    log = io.StringIO()
    with trio.fail_after(20):
        async with serve(service) as upstream, serving([entry(upstream.url)], log=log) as gateway:
            async with RawClient(gateway.port) as client:
                await client.send(b"GET /passthrough/m/files HTTP/1.1\r\nhost: test\r\n\r\n")
                await client.read_until(b"one")
            await gone.wait()
            await wait_until(lambda: '"departed"' in log.getvalue())
    [line] = [json.loads(text) for text in log.getvalue().splitlines() if '"operation"' in text]
    assert (line["status"], line["departed"], line["operation"], line["entry"]) == (
        499,
        "disconnect",
        "passthrough",
        "m",
    )


async def test_an_answer_that_breaks_off_is_not_ended_well() -> None:
    async def service(peer: Peer) -> None:
        await peer.request()
        await peer.stream.send_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n")

    async with serve(service) as upstream, serving([entry(upstream.url)]) as gateway, gateway.http() as http:
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get("/passthrough/m/files")


async def test_an_upload_that_falls_silent_is_ended_in_time() -> None:
    async def service(peer: Peer) -> None:
        while await peer.more():
            pass

    with trio.fail_after(20):
        async with serve(service) as upstream:
            async with serving([entry(upstream.url)], server={"bodyTimeout": 100}) as gateway:
                head = b"POST /passthrough/m/files HTTP/1.1\r\nhost: test\r\ncontent-length: 9\r\n\r\nfirst"
                answer = await fetch(("127.0.0.1", gateway.port), head)
    assert answer.status == 408


KEYS = {
    "name": "basic-apikey-auth",
    "config": {"keys": [{"id": "ann", "key": "sk-client-0123456789", "models": ["m"]}]},
}


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        ({}, "", 401),
        ({"authorization": "Bearer sk-wrong"}, "", 401),
        ({"authorization": "Bearer sk-client-0123456789"}, "", 200),
        ({"x-api-key": "sk-client-0123456789"}, "", 200),
        ({}, "?key=sk-client-0123456789", 200),
    ],
)
async def test_plugins_guard_this_way_too(headers: dict[str, str], query: str, status: int) -> None:
    async with ReplayServer([play(), play()]) as upstream:
        models = [entry(upstream.url), {**entry(upstream.url), "name": "other"}]
        async with serving(models, plugins=[KEYS]) as gateway, gateway.http() as http:
            answer = await http.get(f"/passthrough/m/files{query}", headers=headers)
            other = await http.get(f"/passthrough/other/files{query}", headers=headers)
        requests = upstream.requests
    assert answer.status_code == status
    assert other.status_code in (401, 403, 404)
    assert len(requests) == (status == 200)
    for request in requests:
        assert "sk-client" not in request.target
        assert b"sk-client" not in b"".join(value for _, value in request.headers)


async def test_a_projects_models_are_below_its_name() -> None:
    async with ReplayServer(play()) as upstream:
        projects = [{"name": "first"}, {"name": "team", "models": [entry(upstream.url)]}]
        everybody = [entry(upstream.url, None)]
        async with serving(everybody, config={"projects": projects}) as gateway, gateway.http() as http:
            inside = await http.get("/team/passthrough/m/files/a%20b")
            outside = await http.get("/passthrough/m/files")
        [request] = upstream.requests
    assert (inside.status_code, outside.status_code) == (200, 403)
    assert request.target == "/v1/files/a%20b"


@pytest.mark.parametrize("http2", [False, True], ids=["own transport", "httpx transport"])
async def test_an_answer_that_came_compressed_is_whole(http2: bool) -> None:
    body = gzip.compress(b'{"data": "' + b"x" * 5000 + b'"}')

    async def service(peer: Peer) -> None:
        while await peer.request() is not None:
            head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\n"
            await peer.send(head + b"content-length: %d\r\n\r\n" % len(body) + body)

    async with serve(service) as upstream, serving([entry(upstream.url, http2=http2)]) as gateway:
        async with gateway.http() as http:
            answer = await http.get("/passthrough/m/files")
            again = await http.get("/passthrough/m/files")
    assert answer.json() == again.json() == {"data": "x" * 5000}
