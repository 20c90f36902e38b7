"""Request ids: the client's, if it is fit for headers and logs, else a new one."""

from __future__ import annotations

import re
import uuid

_FIT = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")


def request_id_of(given: str | None) -> str:
    """`given` if it is 1 to 128 characters of a safe set, else a new unique id."""
    if given is not None and _FIT.fullmatch(given):
        return given
    return f"req_{uuid.uuid4().hex}"
