"""Structured logs: JSON lines or console, by structlog; the standard library's loggers go the same way.

One line a request. No prompt, answer, key or header value is ever logged: an exception's own text may hold any of them,
so of an unexpected exception the type and the places in the code are logged, not the message.
"""

from __future__ import annotations

import logging
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, Literal, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["json", "console", "auto"]

_OURS = ("triway", "proxy", "providers", "hypercorn")
"""The loggers that may write at level debug."""

_ENCODER = msgspec.json.Encoder(enc_hook=str)


def configure_logging(level: Level = "info", format: Format = "auto", stream: TextIO | None = None) -> None:  # noqa: A002
    """Set up logging for this process. `auto`: console on a terminal, else JSON."""
    out = stream or sys.stderr
    as_json = format == "json" or (format == "auto" and not out.isatty())
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _safe_exception,
    ]
    renderer: Processor = _render_json if as_json else structlog.dev.ConsoleRenderer(colors=out.isatty())
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=True,
    )
    global _configured, _logger, _write_request
    _configured = (format, out)
    _logger = structlog.get_logger().bind()
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            foreign_pre_chain=[_logger_name, *shared],
        )
    )
    _write_request = None
    if number > logging.INFO:
        _write_request = _write_nothing
    elif as_json:
        _write_request = _json_writer(out)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # Libraries show headers, keys among them, at level debug: hpack, httpcore, botocore ... So that is for ours alone.
    root.setLevel(max(number, logging.INFO))
    for name in _OURS:
        logging.getLogger(name).setLevel(number)
    # The client libraries' own request lines would name URLs and repeat ours.
    logging.getLogger("httpx").setLevel(logging.WARNING)


def set_level(level: Level) -> None:
    """Change what is written from now on; everything else stays as `configure_logging` left it."""
    configure_logging(level, *_configured)


_configured: tuple[Format, TextIO | None] = ("auto", None)
"""What `configure_logging` was told beside the level."""
_logger: structlog.typing.FilteringBoundLogger | None = None
"""Bound once: a lazy logger is bound anew for every line."""


_write_request: Callable[[dict[str, object]], None] | None = None
"""How to write a request's line without structlog; None: by it."""


def log_request(line: dict[str, object]) -> None:
    """Write a request's one line, at level info: what `get_logger().info("request", **line)` writes.

    In JSON it is written here, since what makes structlog's chain worth having (levels, exceptions, renderers) makes no
    difference to this line, and costs a request more than decoding it does. `line` is changed.
    """
    if _write_request is not None:
        _write_request(line)
    else:
        get_logger().info("request", **line)


def _write_nothing(_: dict[str, object]) -> None:
    pass


def _json_writer(out: TextIO) -> Callable[[dict[str, object]], None]:
    encode = _ENCODER.encode

    def write(line: dict[str, object]) -> None:
        line["event"] = "request"
        line["level"] = "info"
        line["timestamp"] = _now()
        # One write, so that lines of several processes do not mix.
        out.write(encode(line).decode() + "\n")
        out.flush()

    return write


_second = 0
_second_text = ""


def _now() -> str:
    """The time as structlog's `TimeStamper(fmt="iso")` writes it; all but the fraction is made once a second."""
    global _second, _second_text
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    if seconds != _second:
        _second = seconds
        _second_text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{_second_text}.{nanoseconds // 1000:06d}Z"


def get_logger() -> structlog.typing.FilteringBoundLogger:
    """The gateway's logger."""
    logger: structlog.typing.FilteringBoundLogger = _logger or structlog.get_logger()
    return logger


def describe_exception(error: BaseException) -> dict[str, Any]:
    """What may be logged of an unexpected exception: its type and where it came from, innermost place last."""
    places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    described: dict[str, Any] = {"exception": type(error).__name__, "places": places[-8:]}
    if isinstance(error, BaseExceptionGroup):
        described["exceptions"] = [describe_exception(inner) for inner in error.exceptions[:4]]
    return described


def _render_json(_: WrappedLogger, __: str, event: EventDict) -> str:
    return _ENCODER.encode(event).decode()


def _logger_name(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    record = event.get("_record")
    if record is not None:
        event["logger"] = record.name
    return event


def _safe_exception(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    error = info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event.update(describe_exception(error))
    return event
