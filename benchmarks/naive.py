"""The stack that one would take first: Hypercorn's trio worker, Quart-trio, httpx. Nothing tuned, nothing broken.

It relays the upstream's bytes and decodes only the request, so it does less than a gateway has to. Imports only that
stack.

Usage: python -m benchmarks.naive PORT UPSTREAM_PORT
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from functools import partial

import httpx
import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from quart import Response, request
from quart_trio import QuartTrio


def make_app(upstream_port: int) -> QuartTrio:
    """The whole gateway: one route, one client."""
    app = QuartTrio(__name__)
    client = httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{upstream_port}",
        timeout=httpx.Timeout(60),
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=1024),
    )

    @app.post("/v1/chat/completions")
    @app.post("/v1/messages")
    async def chat() -> Response:
        body = await request.get_json()
        if not body.get("stream"):
            answer = await client.post(request.path, json=body)
            return Response(answer.content, answer.status_code, content_type=answer.headers["content-type"])
        upstream = await client.send(client.build_request("POST", request.path, json=body), stream=True)

        async def events() -> AsyncIterator[bytes]:
            try:
                async for data in upstream.aiter_bytes():
                    yield data
            finally:
                with trio.move_on_after(1, shield=True):
                    await upstream.aclose()

        response = Response(events(), upstream.status_code, content_type=upstream.headers["content-type"])
        response.timeout = None
        return response

    return app


def main() -> None:
    port, upstream_port = map(int, sys.argv[1:3])
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.backlog = 4096
    config.keep_alive_max_requests = 10**9
    trio.run(partial(serve, make_app(upstream_port), config))


if __name__ == "__main__":
    main()
