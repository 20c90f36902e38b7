"""An HTTP status in words, for errors whose body says nothing. Does no I/O."""

from __future__ import annotations

import http


def status_text(status: int) -> str:
    """`404 (Not Found)`; the number alone for one that nobody has named."""
    if status == 529:
        return "529 (Overloaded)"
    try:
        return f"{status} ({http.HTTPStatus(status).phrase})"
    except ValueError:
        return str(status)
