"""A reload may change how much is logged."""

from __future__ import annotations

import io
import json

from proxy.observe.logs import configure_logging, get_logger, log_request, set_level


def test_the_level_changes_and_nothing_else() -> None:
    out = io.StringIO()
    configure_logging("error", "json", out)
    get_logger().info("unheard")
    log_request({"n": 1})
    set_level("info")
    get_logger().info("heard")
    log_request({"n": 2})
    set_level("error")
    get_logger().info("unheard")
    log_request({"n": 3})
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [(line["event"], line.get("n")) for line in lines] == [("heard", None), ("request", 2)]
