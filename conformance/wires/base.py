"""`WireFormat`: how the suite itself reads and writes an API. Written from the API's reference, not from our codecs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from conformance.facts import JSON, Facts
from conformance.wires.events import Event


class ErrorShape(msgspec.Struct, frozen=True, kw_only=True):
    """An error as the API spells it."""

    message: str
    type: str | None


class WireFormat(msgspec.Struct, frozen=True, kw_only=True):
    """One API. All functions are pure. To add one, write a module with these and name it in `WIRES`."""

    api: str
    short: str
    """Its name on the command line: `--target openai=URL`."""
    path: str
    """Of a completion, below the server's root."""
    headers: dict[str, str]
    """What the API asks for beside the content type."""
    request: Callable[[str, str, bool], dict[str, JSON]]
    """`(model, prompt, stream)` to a request's body. A stream is asked to tell its usage."""
    facts_of_stream: Callable[[Sequence[Event]], Facts]
    facts_of_whole: Callable[[JSON], Facts]
    is_terminator: Callable[[Event], bool]
    """Whether an event says that the answer is whole."""
    is_noise: Callable[[Event], bool]
    """Whether an event says nothing at all: a ping."""
    error_of_event: Callable[[Event], ErrorShape | None]
    """The error that an event reports, if it does."""
    error_of_body: Callable[[JSON], ErrorShape | None]
    """The error in the body of an answer of status 400 or more; None: it has not the API's shape."""
    error_types: dict[int, str]
    """The error type that the API's reference gives a status; statuses that it does not name are not in it."""
    synthetic: Callable[[Sequence[str]], bytes]
    """A streamed answer that says these texts, an event for each, terminator and usage included."""
    signs_reasoning: bool
    """Whether it has a place for signatures of reasoning."""
