"""Log lines go out from a thread of their own: who reads the log may be slow, or stand still, and no request may wait.

A pipe that nobody empties blocks whoever writes to it, which in a worker would be every request at once. So the lines
wait here, up to a limit; what is beyond it is dropped, counted, and said in the log itself as soon as that flows again.
"""

from __future__ import annotations

import io
import os
import select
import threading
import time
from collections.abc import Callable
from typing import TextIO

MAX_WAITING = 4 * 1024 * 1024
"""Characters that may wait to be written."""

_ATOMIC_BYTES = 4096
"""A write up to this size is not mixed with another process's, on a pipe: Linux's PIPE_BUF (POSIX promises 512)."""

_PAUSE = 0.02
"""Seconds from the first line that waits until it is written, so that lines that come close together go together."""


class LogWriter(io.TextIOBase):
    """A text stream that takes whole lines and never waits. Any thread may write.

    `count_loss` is called with the number of lines lost as soon as they are, in any thread. `report_loss` is called in
    this object's thread, once the underlying stream takes lines again, with all that were lost since it was called
    last; it may write here.
    """

    def __init__(
        self,
        out: TextIO,
        *,
        count_loss: Callable[[int], None] = lambda _: None,
        report_loss: Callable[[int], None] = lambda _: None,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._out = out
        self._send = _sender(out)
        self._count_loss = count_loss
        self._report_loss = report_loss
        self._max_waiting = max_waiting
        self._lock = threading.Lock()
        self._lines: list[str] = []
        self._size = 0
        """Characters that wait, those of the write under way included."""
        self._lost = 0
        self._wake = threading.Event()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="log writer", daemon=True)
        self._thread.start()

    def write(self, text: str) -> int:
        """Take lines, with their ends. They are on their way to the underlying stream within some 20 ms."""
        size = len(text)
        with self._lock:
            taken = self._size + size <= self._max_waiting and not self._ending
            if taken:
                first = not self._lines
                self._lines.append(text)
                self._size += size
            else:
                self._lost += 1
        if not taken:
            self._count_loss(1)
        elif first:
            self._wake.set()
        return size

    def flush(self) -> None:
        """Nothing: to wait for the underlying stream is what this object is there to avoid. See `close`."""

    def isatty(self) -> bool:
        """Whether the underlying stream is a terminal."""
        return self._out.isatty()

    def writable(self) -> bool:
        """True."""
        return True

    def end(self, timeout: float) -> bool:
        """Write what waits, for at most `timeout` seconds. Returns whether all of it is out. Later lines are lost."""
        with self._lock:
            self._ending = True
        self._wake.set()
        self._thread.join(timeout)
        return not self._thread.is_alive() and not self._size

    def _run(self) -> None:
        while not self._ending:
            self._wake.wait()
            if not self._ending:
                time.sleep(_PAUSE)
            self._wake.clear()
            self._write_all()
        self._write_all()

    def _write_all(self) -> None:
        with self._lock:
            lines, self._lines = self._lines, []
        for piece in _pieces(lines):
            lost = 0
            try:
                self._send(piece)
            except (OSError, ValueError):  # the reader is gone, the disk is full, the stream is closed
                lost = piece.count("\n")
                self._count_loss(lost)
            with self._lock:
                self._size -= len(piece)
                self._lost += lost
                report = 0 if lost or self._ending else self._lost
                self._lost -= report
            if report:
                self._report_loss(report)


def _sender(out: TextIO) -> Callable[[str], object]:
    """How to write to `out`: past its buffers where it has a descriptor.

    Their lock would be held for as long as the write takes, and an interpreter that ends finds it held and aborts.
    """
    try:
        fd = out.fileno()
        out.flush()
    except (OSError, ValueError):
        return out.write
    encoding = out.encoding or "utf-8"

    def send(piece: str) -> None:
        data = memoryview(piece.encode(encoding, "backslashreplace"))
        while data:
            try:
                data = data[os.write(fd, data) :]
            except BlockingIOError:  # somebody who shares the descriptor made it so
                select.select([], [fd], [])

    return send


def _pieces(lines: list[str]) -> list[str]:
    """`lines` put together into as few writes as may be, none of which is mixed with those of another process."""
    pieces: list[str] = []
    together: list[str] = []
    size = 0
    for line in lines:
        length = len(line.encode(errors="replace"))
        if size + length > _ATOMIC_BYTES and together:
            pieces.append("".join(together))
            together, size = [], 0
        together.append(line)
        size += length
    if together:
        pieces.append("".join(together))
    return pieces
