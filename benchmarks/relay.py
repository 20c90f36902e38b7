"""The floor for a Python gateway: bytes shovelled both ways by bare trio, no HTTP at all. Imports only trio.

Usage: python -m benchmarks.relay PORT UPSTREAM_PORT
"""

from __future__ import annotations

import sys
from functools import partial

import trio

HOST = "127.0.0.1"
READ = 65536


async def _shovel(source: trio.SocketStream, target: trio.SocketStream, both: trio.CancelScope) -> None:
    """Copy until either side ends; then both directions are over, as a gateway's exchange is when a side leaves."""
    try:
        while data := await source.receive_some(READ):
            await target.send_all(data)
    except trio.BrokenResourceError:
        pass
    both.cancel()


async def relay(upstream_port: int, client: trio.SocketStream) -> None:
    """Serve one client connection over one upstream connection."""
    try:
        upstream = await trio.open_tcp_stream(HOST, upstream_port)
    except OSError:
        return
    async with upstream, trio.open_nursery() as nursery:
        nursery.start_soon(_shovel, client, upstream, nursery.cancel_scope)
        nursery.start_soon(_shovel, upstream, client, nursery.cancel_scope)


def main() -> None:
    port, upstream_port = map(int, sys.argv[1:3])
    serve = partial(trio.serve_tcp, partial(relay, upstream_port), port, host=HOST, backlog=4096)
    trio.run(serve)


if __name__ == "__main__":
    main()
