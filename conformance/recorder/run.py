"""A recording session from its first socket to its summary."""

from __future__ import annotations

import signal

import trio

from conformance.recorder.app import Recorder
from conformance.recorder.settings import RecorderSettings
from conformance.recorder.tally import Report, Tally
from providers.transport.address import parse_base_url
from proxy.server import ServerSettings, StartupError, serve_in_task

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def check(settings: RecorderSettings) -> None:
    """Raise ValueError if the session cannot work: it would call itself."""
    host, _, port = settings.listen.rpartition(":")
    address = parse_base_url(settings.upstream)
    if port == str(address.port) and host.strip("[]") in _LOOPBACK and address.host in _LOOPBACK:
        raise ValueError("the upstream is the recorder's own address")


async def run(
    settings: RecorderSettings,
    report: Report,
    *,
    shutdown: trio.Event | None = None,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> Tally:
    """Serve until SIGINT, SIGTERM or `shutdown`, and return what was recorded.

    `task_status.started` gets the URL to point clients at. A second signal cuts the running exchanges off; what came of
    them is kept all the same. Raises `StartupError` when the address cannot be listened on, ValueError or OSError for
    an upstream that cannot be used. When cancelled, everything is closed at once.
    """
    check(settings)
    recorder = Recorder(settings, report)
    server = ServerSettings(
        bind=[settings.listen],
        http2=False,
        max_connections=settings.max_connections,
        write_timeout=settings.write_timeout,
        graceful_timeout=settings.graceful_timeout,
    )
    stop = trio.Event() if shutdown is None else shutdown
    try:
        async with trio.open_nursery() as saving, trio.open_nursery() as nursery:
            recorder.save_in(saving)

            async def serve(task_status: trio.TaskStatus[list[int]] = trio.TASK_STATUS_IGNORED) -> None:
                await serve_in_task(recorder, server, shutdown=stop, task_status=task_status)
                nursery.cancel_scope.cancel()

            port = (await nursery.start(serve))[0]
            url = f"http://{settings.listen.rpartition(':')[0]}:{port}"
            report(f"recording {url} -> {settings.upstream} into {settings.out}; stop with Ctrl-C")
            task_status.started(url)
            if shutdown is None:
                nursery.start_soon(_stop_on_signals, recorder, stop, nursery.cancel_scope, report)
    except BaseExceptionGroup as group:
        startup, rest = group.split(StartupError)
        if startup is None or rest is not None:
            raise
        raise StartupError(str(_first(startup))) from group
    finally:
        recorder.upstream.pool.close()
    report(f"{recorder.tally.summary()}; in {settings.out}")
    return recorder.tally


async def _stop_on_signals(recorder: Recorder, stop: trio.Event, scope: trio.CancelScope, report: Report) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            if stop.is_set():
                scope.cancel()
            elif recorder.under_way:
                report(f"stopping; {recorder.under_way} exchanges are under way: signal again to cut them off")
            stop.set()


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
