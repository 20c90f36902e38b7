"""`WireFormat`: how the suite itself reads and writes an API. Written from the API's reference, not from our codecs.

To add an API:

1. Write `conformance/wires/NAME.py` with a module constant `WIRE = WireFormat(...)`, and put NAME into the tuple in
   `conformance/wires/__init__.py`. The module may import `conformance.facts`, `conformance.wires.base`,
   `conformance.wires.events` and `conformance.wires.framings`: nothing of `providers.wire` or `proxy`, because what
   judges a codec must not share its faults. Keep it cheap to import; SDKs belong into the oracle.
2. Bundle at least `stream/text` and `json/text` in `providers/replay/bundled/API/` (the faults that do not depend on
   what was recorded meet these), better all kinds of content that the API has. Write them for this project.
3. If there is an official SDK, write `conformance/oracles/NAME.py` and name it in `conformance.oracles.ORACLES`
   (`conformance.oracles.base` says how). Without one, the suite's own reading of the recorded bytes is what a subject
   must get.
4. A provider whose `api`, or one of whose `variants`, is the new API becomes a subject by itself, and so does a client
   API of the gateway of that name. What its schema requires beyond the keys that the suite knows goes into
   `conformance.subjects.builtin.CONFIGS`.

The framing decides what a delivery or a fault can do to a body (`conformance.wires.framings`): pick one, or write one
for a new way to put events into bytes. Nothing else in the suite knows the name of an API or of a framing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from conformance.facts import JSON, Facts
from conformance.wires.events import Event
from conformance.wires.framings import SSE, EventFraming


class ErrorShape(msgspec.Struct, frozen=True, kw_only=True):
    """An error as the API spells it."""

    message: str
    type: str | None


def _nothing(event: Event) -> bool:
    return False


class WireFormat(msgspec.Struct, frozen=True, kw_only=True):
    """One API. All functions are pure and raise nothing over what an API may send: they meet every answer as it came.

    What no API sends (a text where an object was expected) may make them raise one of `facts.UNREADABLE`: the answer
    is then called misshapen.
    """

    api: str
    """As recordings, providers and client APIs spell it."""
    short: str
    """Its name on the command line: `--target openai=URL`."""
    framing: EventFraming = SSE
    """Of a streamed answer; it names the content type."""

    # -- requests -----------------------------------------------------------------------------------------------------

    path: Callable[[str, bool], str]
    """`(model, stream)` to path and query of a completion, below the server's root."""
    headers: Mapping[str, str]
    """What the API asks for beside the content type."""
    request: Callable[[str, str, bool], dict[str, JSON]]
    """`(model, prompt, stream)` to a request's body. The prompt stands in it as it is. A stream is asked to tell its
    usage."""

    # -- answers, read ------------------------------------------------------------------------------------------------

    facts_of_stream: Callable[[Sequence[Event]], Facts]
    """What the events say. Of a stream that was cut: what they say so far. `conformance.facts` has what most APIs need:
    `finish_of` for finish reasons, `arguments_of` for tool calls."""
    facts_of_whole: Callable[[JSON], Facts]
    """What a whole answer says; empty `Facts()` for a document that is none."""
    finishes: Callable[[Event], bool]
    """Whether an event says why the answer ended (a finish reason). From there on it may be called whole."""
    terminator: Callable[[Event], bool] | None
    """Whether an event is the one after which a caller may rely on the answer being whole. An error event is none.
    None: the API has no such event. Then a finish reason and a good end of the body say it together."""
    begins: Callable[[Event], bool] = _nothing
    """Whether an event begins an answer, where the API says so. Some recordings hold several: how such a body ended is
    then nobody's to compare."""
    is_noise: Callable[[Event], bool] = _nothing
    """Whether an event says nothing at all: a ping."""
    error_of_event: Callable[[Event], ErrorShape | None]
    """The error that an event reports, if it does."""
    error_of_body: Callable[[JSON, Mapping[str, str]], ErrorShape | None]
    """`(body, headers)` of an answer of status 400 or more to its error; None: it has not the API's shape. Header names
    are in lower case. It is asked about answers of status 200 too, with their own headers."""
    error_types: Mapping[int, str]
    """The error type that the API's reference gives a status; statuses that it does not name are not in it."""

    # -- answers, written ---------------------------------------------------------------------------------------------

    synthetic: Callable[[Sequence[str]], Sequence[Event]]
    """A streamed answer that says these texts, an event for each, with usage, finish reason and terminator."""
    error_event: Event
    """A failure of the provider's own (internal, overloaded or unavailable), reported in band."""
    error_body: Callable[[int, str], JSON]
    """`(status, message)` to the body of an error answer."""
    error_headers: Callable[[int], Mapping[str, str]] = lambda status: {}
    """Headers that an error answer of this status has beside its content type."""
    unknown_event: Event
    """An event of a type that nobody has heard of, as APIs bring them in without notice."""
    filler: Event
    """An event that carries nothing of the answer; its data is an object with a member at least. Faults put members of
    their own into it: bytes that are not UTF-8, 16 MiB of text."""
    ping: Event | None = None
    """The API's own keep-alive event, where it has one; `is_noise` knows it."""

    # -- reasoning ----------------------------------------------------------------------------------------------------

    signs_reasoning: bool = False
    """Whether its answers have a place for another API's signatures of reasoning."""
    signatures_travel: bool = False
    """Whether its own signatures must reach the callers of APIs that have a place for them, who send them back."""

    tells: frozenset[str] = frozenset()
    """Which of `facts.DETAILS` its answers have a place for, in a form that other APIs can say as well."""

    calls_end_in_stop: bool = False
    """Whether it has one finish reason for an answer that calls tools and for one that is just over."""
    says_cut_calls: bool = True
    """Whether it has a place for a tool call whose arguments were cut off."""

    def is_terminator(self, event: Event) -> bool:
        return self.terminator is not None and self.terminator(event)
