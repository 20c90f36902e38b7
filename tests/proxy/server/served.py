"""A server in a process of its own, for the tests of signals and workers. The app does what the path says.

`python -m tests.proxy.server.served SETTINGS [STARTUP]`, SETTINGS being the JSON of `ServerSettings`.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

import msgspec
import trio

from proxy.server import ServerSettings, serve


class App:
    def __init__(self, startup: str) -> None:
        self._startup = startup
        self._end = trio.Event()
        self._draining = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        match scope["path"].split("/")[1:]:
            case ["pid"]:
                await self._write(send, f"{os.getpid()}")
            case ["ready"]:
                await self._write(send, "draining" if self._draining else "ready")
            case ["crash"]:
                os._exit(3)
            case ["stream", seconds]:  # ends by itself
                await self._write(send, "begun")
                await trio.sleep(float(seconds))
                await self._write(send, "done")
            case ["hang"]:  # ends when it is told to
                await self._write(send, "begun")
                await self._end.wait()
                await self._write(send, "in-band error")
            case ["stubborn"]:  # never ends
                await self._write(send, "begun")
                await trio.sleep_forever()
            case ["flood"]:
                while True:
                    await self._write(send, "x" * 100_000)
        await send({"type": "http.response.body", "body": b""})

    async def _write(self, send: Any, text: str) -> None:
        await send({"type": "http.response.body", "body": text.encode(), "more_body": True})

    async def _lifespan(self, receive: Any, send: Any) -> None:
        await receive()
        if self._startup == "fails":
            await send({"type": "lifespan.startup.failed", "message": "no such provider"})
            return
        if self._startup == "hangs":
            print("lifespan begins", flush=True)
            await trio.sleep_forever()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("lifespan over", flush=True)
        await send({"type": "lifespan.shutdown.complete"})

    def start_draining(self) -> None:
        self._draining = True

    def end_streams(self) -> None:
        self._end.set()


def make(startup: str) -> App:
    logging.basicConfig(level="INFO", format="%(name)s %(levelname)s %(message)s")
    if startup == "raises":
        raise LookupError("the app cannot be made")
    return App(startup)


if __name__ == "__main__":
    settings = msgspec.json.decode(sys.argv[1], type=ServerSettings)
    sys.exit(serve("tests.proxy.server.served:make", settings, sys.argv[2] if len(sys.argv) > 2 else "works"))
