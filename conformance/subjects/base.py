"""`Subject`: what is tested, and the one thing the suite does with it: ask."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Literal

import msgspec
import trio

from conformance.answered import Answered
from conformance.facts import Usage
from conformance.replay import Delivery
from conformance.wires import WireFormat
from providers.replay.recording import Recording

ASK_SECONDS = 30.0
"""How long a question may take before it counts as hung."""


class Question(msgspec.Struct, kw_only=True):
    """One request, and how its caller behaves."""

    prompt: str
    stream: bool
    impatient: bool = False
    """Put it to the instance whose time limits are short, for providers that fall silent."""
    on_data: Callable[[bytes], None] | None = None
    """Told of everything that arrives, when it arrives: a body's bytes, or the text of a provider's chunks."""
    hold: trio.Event | None = None
    """The caller takes nothing of the answer until this is set."""
    reset: bool = False
    """A caller that leaves resets the connection instead of closing it."""


Depth = Literal["full", "encoder", "kin", "sample"]
"""How much of the matrix says something new of a subject, beside what is said of others in the same run.

`full`: nothing is known of it. `encoder`: it answers in an API of its own what another subject has been shown to read.
`kin`: it reads answers with the same code as another subject. `sample`: it is another subject under a name of its own.
`conformance.cases` says what each meets.
"""


class Traits(msgspec.Struct, frozen=True, kw_only=True):
    """What can be asked of a subject."""

    lossless: bool = True
    """It passes its provider's events on as they are, because both sides speak one API."""
    strict: bool = True
    """It promises what the design does (limits, error names, retries). False: somebody else's gateway, which is held
    only to what every intermediary owes."""
    replayed: bool = True
    """It asks the replay server, so deliveries and faults reach it."""
    in_process: bool = True
    """Its sockets, tasks and CPU time are this process's."""
    http: bool = True
    """Its caller is an HTTP client, so the official SDK can be one."""
    depth: Depth = "full"
    probed: bool = True
    """It is asked the probes' questions too: not where the code that they are about is another subject's."""
    vendor: str = ""
    """Of a sample: whose recordings it meets beside the bundled exemplar."""


class Subject(ABC):
    """One thing under test, open."""

    name: str
    wire: WireFormat
    """What its caller speaks. For a provider class: what its provider speaks."""
    upstream: WireFormat
    traits: Traits

    @abstractmethod
    async def ask(self, question: Question) -> Answered:
        """Put the question and read the answer. Raises nothing but cancellation, which is the caller's leaving."""

    async def prepare(self, recording: Recording, delivery: Delivery) -> bool:
        """Get ready to be asked for this recording; False: this delivery means nothing to the subject."""
        return True

    def counted(self) -> Usage | None:
        """The tokens that the subject itself has counted since it was opened; None: it does not say."""
        return None

    def in_use(self) -> list[str]:
        """What it still holds of a request, in words; empty once every request is over."""
        return []

    @property
    def base_url(self) -> str:
        """Where the official SDK finds it. Only with `traits.http`."""
        raise LookupError(f"{self.name} is not reached over HTTP")

    @property
    def headers(self) -> Mapping[str, str]:
        """What the official SDK must send beside its own, or instead of it."""
        return {}

    model = "m"
    """The model's name to ask for."""
