"""A request's line is the same whether structlog writes it or `log_request` does."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from proxy.observe import logs
from proxy.observe.logs import configure_logging, get_logger, log_request

LINE: dict[str, object] = {
    "request_id": "r\u00e9\n",
    "status": 200,
    "duration_ms": 1.5,
    "model": None,
    "dropped": ["a"],
}


@pytest.fixture(autouse=True)
def _quiet_again() -> Iterator[None]:
    yield
    configure_logging("error", "json")


def test_the_json_line_is_the_one_that_structlog_writes() -> None:
    out = io.StringIO()
    configure_logging("info", "json", out)
    get_logger().info("request", **LINE)
    log_request(dict(LINE))
    by_structlog, by_us = map(json.loads, out.getvalue().splitlines())
    then, now = (datetime.fromisoformat(line.pop("timestamp")) for line in (by_structlog, by_us))
    assert list(by_us.items()) == list(by_structlog.items())
    assert now.tzinfo is not None
    assert timedelta(0) <= now - then < timedelta(minutes=1)
    assert abs(datetime.now(UTC) - now) < timedelta(minutes=1)


def test_a_fraction_of_a_second_keeps_its_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs.time, "time_ns", lambda: 1_700_000_000_000_042_999)
    assert logs._now() == "2023-11-14T22:13:20.000042Z"


def test_nothing_is_written_above_info() -> None:
    out = io.StringIO()
    configure_logging("warning", "json", out)
    log_request(dict(LINE))
    assert out.getvalue() == ""


def test_on_a_console_structlog_writes_it() -> None:
    out = io.StringIO()
    configure_logging("info", "console", out)
    log_request(dict(LINE))
    assert "request_id" in out.getvalue()
    assert not out.getvalue().startswith("{")
