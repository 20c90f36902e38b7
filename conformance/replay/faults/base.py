"""`Fault`: what goes wrong on the provider's side, and what must then be seen on the client's. Does no I/O."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import msgspec

from conformance.replay.answer import Answer
from providers.errors import ErrorKind

MAX_EVENT_BYTES = 16 * 1024 * 1024
"""The design's limit for one event, stated again: a check must not take its limit from what it checks."""


class End(enum.Enum):
    """What happens to the connection after the last byte."""

    KEEP = enum.auto()
    """It waits for the next request."""
    FIN = enum.auto()
    """It is closed in good order."""
    RST = enum.auto()
    """It is reset: closed with SO_LINGER 0."""
    STALL = enum.auto()
    """Nothing more comes, and it stays open until the peer goes."""


class Cut(msgspec.Struct, frozen=True):
    """Where an answer breaks off. Once it is cut, nothing says that the body is complete."""

    at: int
    """Bytes of the body that are still written; -1: not even the head is."""
    end: End


class Expectation(msgspec.Struct, frozen=True, kw_only=True):
    """What a client of the gateway must see when every answer of the provider has the fault."""

    outcome: Literal["error", "success", "either"]
    """`either`: both readings are defensible, a hang is not."""
    in_band: bool = False
    """The stream had begun, so the error comes as an event; else it is a response with an error status."""
    status: int | None = None
    """The error status, where there is only one right one."""
    kinds: tuple[ErrorKind, ...] = ()
    """Right names for the error; none: any."""
    same_answer: bool = False
    """On success: the answer is the one without the fault, nothing lost and nothing added."""
    retried: bool | None = None
    """Whether a provider with `retryAttempts` left tries again. None: it may."""


SUCCESS = Expectation(outcome="success", same_answer=True, retried=False)


@dataclass(frozen=True)
class Fault(ABC):
    """A fault changes the answer (`edit`), breaks it off (`cut`), or both. Its parameters are fields."""

    streams_only: ClassVar[bool] = False
    """Whether it makes sense for streams alone."""

    @property
    @abstractmethod
    def sentence(self) -> str:
        """What goes wrong, in words."""

    def fits(self, answer: Answer) -> bool:
        """Whether such an answer can go wrong in this way. The other methods are asked only about answers that can."""
        return answer.framing is not None or not self.streams_only

    @abstractmethod
    def expect(self, answer: Answer) -> Expectation:
        """What must be seen when `answer`, as it was recorded, is played with this fault."""

    def edit(self, answer: Answer) -> Answer:
        """The answer that is delivered instead."""
        return answer

    def cut(self, answer: Answer) -> Cut | None:
        """Where `answer`, as it is delivered, breaks off. None: it does not."""
        return None
