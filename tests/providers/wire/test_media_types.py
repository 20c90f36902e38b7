"""Media types by names, the same on every machine."""

from __future__ import annotations

import pytest

from providers.wire.media_types import media_type_of_name, media_type_of_url

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("notes.txt", "text/plain"),
        ("NOTES.TXT", "text/plain"),
        ("a.b/Table of tides.csv", "text/csv"),
        ("read me.md", "text/markdown"),
        ("letter.docx", DOCX),
        ("notice.pdf", "application/pdf"),
        ("clip.mkv", "video/x-matroska"),
        ("data.json", "application/json"),
        ("notes.txt.gz", None),
        ("notes", None),
        ("txt", None),
        (".", None),
        ("", None),
        (None, None),
    ],
)
def test_by_name(name: str | None, told: str | None) -> None:
    assert media_type_of_name(name, "x/default") == (told or "x/default")


@pytest.mark.parametrize(
    ("url", "default", "told"),
    [
        ("https://h/a.png?x=1.txt", "image/jpeg", "image/png"),
        ("https://h/show.html", "image/jpeg", "image/jpeg"),
        ("https://h/a.txt", "application/pdf", "text/plain"),
        ("s3://bucket/a.docx", "application/pdf", DOCX),
        ("https://h", "application/pdf", "application/pdf"),
    ],
)
def test_by_url(url: str, default: str, told: str) -> None:
    assert media_type_of_url(url, default) == told
