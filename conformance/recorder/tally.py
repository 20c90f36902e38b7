"""What a recording session tells its user: a line for each exchange, and a summary. Imports the format.

No line holds a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from providers.replay.recording import Recording, Scrubbed

Report = Callable[[str], None]
"""Shows one line."""


def scrubbed_line(scrubbed: Sequence[Scrubbed]) -> str:
    """What was scrubbed, and where, in one line."""
    return "; ".join(
        f"{item.what} at {item.where}" + (f" ({item.times} times)" if item.times > 1 else "") for item in scrubbed
    )


class Tally:
    """Counts, and says at once what happened."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self.recorded = 0
        self.incomplete = 0
        self.passed = 0
        """Passed on without being recorded: no conversation."""
        self.lost = 0
        """Should have been recorded and was not."""
        self.scrubbed = 0

    def saved(self, recording: Recording, path: Path, folder: Path) -> None:
        self.recorded += 1
        reads = f", {len(recording.timing)} reads" if recording.timing else ""
        size = len(recording.response.body)
        self._report(f"recorded {path.relative_to(folder)}: status {recording.response.status}, {size} bytes{reads}")
        if recording.incomplete:
            self.incomplete += 1
            self._report(f"  incomplete: {recording.incomplete}")
        if recording.scrubbed:
            self.scrubbed += sum(item.times for item in recording.scrubbed)
            self._report(f"  scrubbed: {scrubbed_line(recording.scrubbed)}")

    def passed_on(self, why: str) -> None:
        self.passed += 1
        self._report(f"passed on, not recorded: {why}")

    def not_recorded(self, why: str) -> None:
        self.lost += 1
        self._report(f"NOT RECORDED: {why}")

    def summary(self) -> str:
        parts = [f"{self.recorded} recorded"]
        if self.incomplete:
            parts[0] += f" ({self.incomplete} incomplete)"
        parts += [f"{self.passed} passed on without recording"] if self.passed else []
        parts += [f"{self.lost} lost"] if self.lost else []
        parts.append(f"{self.scrubbed} secrets scrubbed")
        return ", ".join(parts)
