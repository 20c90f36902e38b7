"""No leak: after each case nothing of it is left."""

from __future__ import annotations

from conformance.checks.base import AnswerCheck, Seen


class NoLeak(AnswerCheck):
    name = "no leak"
    sentence = "after each case tasks, sockets, file descriptors and pool slots are back to where they were"

    def applies(self, seen: Seen) -> bool:
        return True

    def judge(self, seen: Seen) -> str | None:
        return "; ".join(seen.leaks) or None
