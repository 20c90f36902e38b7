"""`EventFraming`: how events lie in a streamed body. Pure functions; shares no code with the decoders under test."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from conformance.wires.events import Event


class EventFraming(ABC):
    """One way to put events into a body. Deliveries and faults ask it what it can do; none of them knows its name."""

    content_type: ClassVar[str]
    """The media type of a body that is framed so, in lower case, without parameters."""
    line_ends: ClassVar[tuple[bytes, ...]] = ()
    """Line ends that mean the same as LF; none: it has no lines, or knows LF alone."""
    has_checksum: ClassVar[bool] = False
    idle: ClassVar[tuple[bytes, ...]] = ()
    """Blocks that may stand before any event and say nothing: comments. None: it has no such thing."""

    @abstractmethod
    def split(self, body: bytes) -> list[bytes]:
        """The body in blocks, cut after each event; joined they are the body. What is left over is the last block."""

    @abstractmethod
    def read(self, body: bytes) -> list[Event]:
        """All events of a body, as tolerant as SDKs are. Raises nothing: what is no event becomes one that says so."""

    @abstractmethod
    def frame(self, name: str, data: bytes, *, exception: bool = False) -> bytes:
        """An event as bytes. `data` need not be JSON, nor UTF-8: faults write what no codec would."""

    @abstractmethod
    def edit(self, block: bytes, change: Callable[[bytes], bytes]) -> bytes:
        """A block of `split` with its event's data changed and all else as it was."""

    def is_event(self, block: bytes) -> bool:
        """Whether a block of `split` carries data; without, it is a comment."""
        return True

    def write(self, event: Event) -> bytes:
        return self.frame(event.name, event.data.encode(), exception=event.exception)

    def with_line_ends(self, body: bytes, line_end: bytes) -> bytes:
        """The body with all its line ends replaced by one of `line_ends`."""
        raise NotImplementedError(f"{self.content_type} has no line ends")

    def corrupt(self, block: bytes) -> bytes:
        """The block with a bit flipped. Only where `has_checksum`, which is what tells."""
        raise NotImplementedError(f"{self.content_type} has no checksum")
