"""What is told of an exception that the suite did not foresee. Does no I/O."""

from __future__ import annotations

import traceback
from pathlib import Path

SUITE = "suite"
SENTENCE = "the suite itself could ask and judge"
"""The column of cases that could not be asked or read; it is in a report only if there are such."""

_ROOT = Path(__file__).parent.parent


def innermost(error: Exception) -> Exception:
    """The one exception that a nursery put into a group, or into groups of groups; else what was given."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def told(error: Exception) -> str:
    """Type, words and place."""
    error = innermost(error)
    place = "an unknown place"
    if frames := traceback.extract_tb(error.__traceback__):
        ours = [frame for frame in frames if Path(frame.filename).is_relative_to(_ROOT / "conformance")]
        frame = (ours or list(frames))[-1]
        path = Path(frame.filename)
        place = f"{path.relative_to(_ROOT) if path.is_relative_to(_ROOT) else path}:{frame.lineno}"
    return f"the suite itself failed: {type(error).__name__} at {place}: {error}"
