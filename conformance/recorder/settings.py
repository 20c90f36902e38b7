"""What the recording proxy can be told, and its limits. Imports nothing but the choice of names."""

from __future__ import annotations

from pathlib import Path

import msgspec

from conformance.capture.build import Choice


class RecorderSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One recording session. All times in seconds."""

    upstream: str
    """The provider's base URL; what clients ask for is appended to its path."""
    out: Path
    """The set that recordings go into."""
    listen: str = "127.0.0.1:8081"
    choice: Choice = Choice()
    ca_bundle: str | None = None
    """A file of CAs to trust instead of the usual ones."""

    connect_timeout: float = 30.0
    silence_timeout: float = 300.0
    """How long the provider may say nothing: before the head, and between two reads."""
    total_timeout: float = 3600.0
    """For a whole answer."""
    body_timeout: float = 60.0
    """For a client to send its request's body."""
    write_timeout: float = 60.0
    """How long a client may take no byte of its answer."""
    leave_timeout: float = 0.5
    """How long a provider may still finish when the client has left: some clients close at the last event, before the
    response's end has come."""
    save_timeout: float = 30.0
    """For scrubbing and writing one recording."""
    graceful_timeout: float = 10.0
    """How long exchanges may go on after a signal."""

    max_request_bytes: int = 32 * 1024 * 1024
    max_response_bytes: int = 32 * 1024 * 1024
    """A larger answer is passed on, but not recorded."""
    max_held_bytes: int = 256 * 1024 * 1024
    """Of all bodies under way together."""
    max_connections: int = 64
