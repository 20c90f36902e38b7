"""JUnit XML, as CI servers read it: a suite for each subject, a test for each case, its broken promises as failures."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape, quoteattr

from conformance.result import Report, Result

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, escaped or not."""


def render(report: Report) -> str:
    suites: dict[str, dict[str, list[Result]]] = {}
    for result in report.results:
        suites.setdefault(result.case.subject, {}).setdefault(result.case.id, []).append(result)
    lines = ['<?xml version="1.0" encoding="utf-8"?>', f'<testsuites name="conformance" time="{report.seconds:.3f}">']
    for subject, cases in suites.items():
        failed = sum(any(result.outcome == "failed" for result in results) for results in cases.values())
        seconds = sum(results[0].seconds for results in cases.values())
        lines.append(
            f'<testsuite name={_attribute(subject)} tests="{len(cases)}" failures="{failed}" time="{seconds:.3f}">'
        )
        for case_id, results in cases.items():
            name = case_id.removeprefix(f"{subject}::")
            head = f'<testcase classname={_attribute(subject)} name={_attribute(name)} time="{results[0].seconds:.3f}"'
            failures = [result for result in results if result.outcome == "failed"]
            if not failures:
                lines.append(head + "/>")
                continue
            lines.append(head + ">")
            for result in failures:
                text = escape(_clean(f"{result.reason}\n{result.rerun}"))
                message = _attribute(f"{result.check}: {result.reason[:200]}")
                lines.append(f"<failure type={_attribute(result.check)} message={message}>{text}</failure>")
            lines.append("</testcase>")
        lines.append("</testsuite>")
    return "\n".join([*lines, "</testsuites>", ""])


def _clean(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)


def _attribute(text: str) -> str:
    return quoteattr(_clean(text))
