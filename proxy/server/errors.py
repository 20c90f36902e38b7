"""What the server itself finds wrong: with a request, or with its own start. Imports nothing of this package."""

from __future__ import annotations


class RefusedRequestError(Exception):
    """The bytes are not a request that can be answered safely: answer with `status` and close the connection."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        """For the client. Never holds what the client sent."""
        self.status = status


class StartupError(Exception):
    """The server cannot start; the message says why, in one line."""
