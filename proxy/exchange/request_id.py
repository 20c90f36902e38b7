"""Request ids: the client's, if it is fit for headers and logs, else a new one."""

from __future__ import annotations

import random
import re

_FIT = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")

_random = random.Random()  # noqa: S311 - no secret
"""Seeded from the system's, and asked in its place: an id tells requests apart and guards nothing, and a system call
costs more than reading a request's head."""


def request_id_of(given: bytes | None) -> str:
    """`given` if it is 1 to 128 characters of a safe set, else a new one of 128 random bits."""
    if given is not None and _FIT.fullmatch(given):
        return given.decode("ascii")
    return f"req_{_random.getrandbits(128):032x}"
