"""Imports: what other tools wrote of an exchange becomes the exchange again, without its secrets."""

from __future__ import annotations

import base64
import gzip
import json
import re
import string
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.capture.build import Choice
from conformance.capture.frames import parts_of
from conformance.imports import import_files
from conformance.recorder.tally import Tally
from providers.replay.events import AMAZON_EVENT_STREAM, split_events
from providers.replay.recording import (
    BUNDLED,
    RecordedRequest,
    RecordedResponse,
    Recording,
    load_recording,
    load_recordings,
    save_recording,
)

TEXT = load_recording(BUNDLED / "openai-chat" / "stream" / "text.json")
HOSTS = {"openai-chat": "api.openai.com/v1/chat/completions", "anthropic-messages": "api.anthropic.com/v1/messages"}
JSON_TYPE = "application/json"


def run(source: str, *files: Path, out: Path, choice: Choice | None = None) -> tuple[Tally, list[str]]:
    lines: list[str] = []
    tally = import_files(source, files, out, choice or Choice(), lines.append)
    return tally, lines


def all_in(folder: Path) -> list[Recording]:
    return [load_recording(path) for path in sorted(folder.glob("*/*/*.json"))]


# What each tool writes.


def a_cassette(recording: Recording, *, variant: str = "string", encoding: str = "") -> dict[str, Any]:
    """As vcrpy's YAML serializer lays it out: text where the bytes are UTF-8, else binary."""
    assert recording.request is not None
    body = gzip.compress(recording.response.body) if encoding else recording.response.body
    try:
        content: Any = {"string": body.decode()}
    except UnicodeDecodeError:
        content = {"string": body}
    response: dict[str, Any] = {"body": content}
    if variant == "base64_string":
        response = {"body": {"base64_string": base64.b64encode(body).decode()}}
    elif variant == "text":
        response = {"body": body.decode()}
    headers = {name.title(): [value] for name, value in recording.response.headers.items()}
    if encoding:
        headers["Content-Encoding"] = [encoding]
    request: dict[str, Any] = {
        "method": "POST",
        "uri": f"https://{HOSTS[recording.api]}",
        "headers": {"Content-Type": [JSON_TYPE], "authorization": ["Bearer hush-0123456789"]},
        "body": json.dumps(recording.request.body),
    }
    if variant == "parsed_body":
        request["parsed_body"] = json.loads(request.pop("body"))
    return {
        "version": 1,
        "interactions": [
            {
                "request": request,
                "response": {
                    "status": {"code": recording.response.status, "message": ""},
                    "headers": headers,
                    **response,
                },
            }
        ],
    }


def a_har(recording: Recording, *, binary: bool = False) -> dict[str, Any]:
    """As a browser exports it."""
    assert recording.request is not None
    body = recording.response.body
    text = {"text": base64.b64encode(body).decode(), "encoding": "base64"} if binary else {"text": body.decode()}
    headers = [{"name": name, "value": value} for name, value in recording.response.headers.items()]
    # The browser shows the coding, and the body without it.
    headers.append({"name": "content-encoding", "value": "br"})
    return {
        "log": {
            "version": "1.2",
            "creator": {"name": "WebInspector", "version": "537.36"},
            "pages": [],
            "entries": [
                {
                    "startedDateTime": "2026-01-01T00:00:00.000Z",
                    "time": 1,
                    "request": {
                        "method": "POST",
                        "url": f"https://{HOSTS[recording.api]}",
                        "httpVersion": "http/2.0",
                        "headers": [
                            {"name": ":authority", "value": "api.openai.com"},
                            {"name": "Authorization", "value": "Bearer hush-0123456789"},
                            {"name": "content-type", "value": JSON_TYPE},
                        ],
                        "cookies": [{"name": "session", "value": "hush-cookie-1"}],
                        "postData": {"mimeType": JSON_TYPE, "text": json.dumps(recording.request.body)},
                    },
                    "response": {
                        "status": recording.response.status,
                        "statusText": "",
                        "headers": headers,
                        "content": {"size": len(body), "mimeType": recording.content_type, **text},
                    },
                }
            ],
        }
    }


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(string.ascii_lowercase, max_size=4), inner, max_size=3)
    ),
    max_leaves=5,
)


@st.composite
def exchanges(draw: st.DrawFn) -> Recording:
    """Streams, whole answers and errors whose text may hold anything that JSON and UTF-8 can."""
    api = draw(st.sampled_from(sorted(HOSTS)))
    kind = draw(st.sampled_from(["stream", "json", "error"]))
    documents = draw(st.lists(st.dictionaries(st.just("x"), json_values, min_size=1), min_size=1, max_size=4))
    ascii_only = draw(st.booleans())
    written = [json.dumps(document, ensure_ascii=ascii_only) for document in documents]
    line_end = draw(st.sampled_from(["\n", "\r\n"]))
    text = "".join(f"data: {item}{line_end * 2}" for item in written) if kind == "stream" else written[0]
    body = text.encode("utf-8", "surrogatepass") if _encodable(text) else b"{}"
    status = draw(st.sampled_from([400, 429, 529])) if kind == "error" else 200
    content_type = "text/event-stream; charset=utf-8" if kind == "stream" else JSON_TYPE
    return Recording(
        name="x",
        api=api,
        vendor=api.split("-")[0],
        kind=kind,
        request=RecordedRequest(
            path="/", body={"model": "m", "messages": [{"role": "user", "content": draw(st.text(max_size=9))}]}
        ),
        response=RecordedResponse(status=status, headers={"content-type": content_type}, body=body),
    )


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


Writer = Callable[[Recording, Path], tuple[str, Path]]


def write_vcr(recording: Recording, folder: Path, **options: Any) -> tuple[str, Path]:
    path = folder / "cassette.yaml"
    # Like vcrpy without `allow_unicode`, with which pyyaml writes U+0085 in a way that reads as a space.
    path.write_bytes(yaml.safe_dump(a_cassette(recording, **options), encoding="utf-8"))
    return "vcr", path


def write_vcr_json(recording: Recording, folder: Path) -> tuple[str, Path]:
    path = folder / "cassette.json"
    path.write_text(json.dumps(a_cassette(recording, variant="base64_string"), indent=4))
    return "vcr", path


def write_har(recording: Recording, folder: Path, **options: Any) -> tuple[str, Path]:
    path = folder / "archive.har"
    path.write_text("\ufeff" + json.dumps(a_har(recording, **options)))
    return "har", path


def write_own(recording: Recording, folder: Path) -> tuple[str, Path]:
    return "recordings", save_recording(recording, folder / "set")


WRITERS: dict[str, Writer] = {
    "vcr": write_vcr,
    "vcr, gzip": lambda recording, folder: write_vcr(recording, folder, encoding="gzip"),
    "vcr, base64": lambda recording, folder: write_vcr(recording, folder, variant="base64_string"),
    "vcr, plain text": lambda recording, folder: write_vcr(recording, folder, variant="text"),
    "vcr, parsed request": lambda recording, folder: write_vcr(recording, folder, variant="parsed_body"),
    "vcr, JSON": write_vcr_json,
    "har": write_har,
    "har, base64": lambda recording, folder: write_har(recording, folder, binary=True),
    "recordings": write_own,
}


@pytest.mark.parametrize("writer", list(WRITERS))
@settings(max_examples=20)
@given(exchange=exchanges())
def test_the_same_bytes_come_back(writer: str, exchange: Recording) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, path = WRITERS[writer](exchange, folder)
        tally, lines = run(source, path, out=folder / "out")
        assert (tally.recorded, tally.lost, tally.passed) == (1, 0, 0), lines
        (imported,) = all_in(folder / "out")
        written = b"".join(file.read_bytes() for file in (folder / "out").rglob("*.*"))
    assert imported.response.body == exchange.response.body
    assert (imported.api, imported.vendor, imported.kind) == (exchange.api, exchange.vendor, exchange.kind)
    assert imported.response.status == exchange.response.status
    assert imported.response.headers == exchange.response.headers
    assert imported.request is not None
    assert exchange.request is not None
    assert imported.request.body == exchange.request.body
    assert b"hush" not in written


@pytest.mark.parametrize("writer", [writer for writer in WRITERS if writer != "recordings"])
def test_the_list_tells_of_the_header(writer: str, tmp_path: Path) -> None:
    source, path = WRITERS[writer](TEXT, tmp_path)
    _, lines = run(source, path, out=tmp_path / "out")
    (imported,) = all_in(tmp_path / "out")
    assert [item.where for item in imported.scrubbed] == ["request.headers.authorization"]
    assert "authorization header at request.headers.authorization" in lines[1]
    assert imported.source["path"] == path.name
    assert imported.source["format"] == source


# JSON lines.


def lines_of(recording: Recording) -> bytes:
    events = [line for line in recording.response.body.splitlines() if line.startswith(b"data: {")]
    return b"\n".join(event.removeprefix(b"data: ") for event in events)


@pytest.mark.parametrize(
    "recording",
    [
        recording
        for api in HOSTS
        for recording in load_recordings(BUNDLED, api=api, kind="stream")
        # Comments are no events, and which line ends there were, the events do not say.
        if not recording.response.body.startswith(b":") and not re.search(rb"\n:|\r", recording.response.body)
    ],
    ids=lambda recording: f"{recording.api}-{recording.name}",
)
@pytest.mark.parametrize("api", [None, "own"])
def test_a_streams_events_get_their_framing_back(recording: Recording, api: str | None, tmp_path: Path) -> None:
    path = tmp_path / "events.chunks.txt"
    path.write_bytes(lines_of(recording) + b"\n\n")
    tally, said = run("jsonl", path, out=tmp_path / "out", choice=Choice(api=api and recording.api))
    assert tally.recorded == 1, said
    (imported,) = all_in(tmp_path / "out")
    ends_with_done = recording.response.body.endswith(b"data: [DONE]\n\n")
    assert imported.response.body == recording.response.body + (
        b"" if ends_with_done or recording.api != "openai-chat" else b"data: [DONE]\n\n"
    )
    assert imported.content_type == "text/event-stream"
    assert (imported.name, imported.request) == ("events.chunks", None)
    assert "framing is put back" in imported.source["bytes"]


def test_ollamas_lines_stay_lines(tmp_path: Path) -> None:
    body = b'{"message":{"content":"Hi"},"done":false}\n{"message":{"content":""},"done":true}\n'
    path = tmp_path / "chat.jsonl"
    path.write_bytes(body.replace(b"\n", b"\r\n"))
    run("jsonl", path, out=tmp_path / "out")
    (imported,) = all_in(tmp_path / "out")
    assert (imported.api, imported.content_type) == ("ollama-chat", "application/x-ndjson")
    assert imported.response.body == body


def test_bedrocks_events_become_frames(tmp_path: Path) -> None:
    events = [
        {"messageStart": {"role": "assistant"}},
        {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "é"}}},
    ]
    path = tmp_path / "converse.jsonl"
    path.write_text("\n".join(json.dumps(event) for event in events))
    run("jsonl", path, out=tmp_path / "out")
    (imported,) = all_in(tmp_path / "out")
    assert (imported.api, imported.content_type) == ("bedrock-converse", AMAZON_EVENT_STREAM)
    frames = split_events(imported.response.body, AMAZON_EVENT_STREAM)
    payloads = []
    for frame in frames:
        parts = parts_of(frame)
        assert parts is not None
        payloads.append(json.loads(frame[slice(*parts[1])]))
    assert payloads == [next(iter(event.values())) for event in events]
    assert b"\x0b:event-type\x07\x00\x0cmessageStart" in frames[0]


# What is wrong with a file is said, with its place; the rest is imported.


def broken(change: Callable[[dict[str, Any]], object], whole: dict[str, Any]) -> dict[str, Any]:
    change(whole)
    return whole


def first(cassette: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = cassette["interactions"][0]
    return found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c.pop("interactions"), "`interactions`: expected a list, got nothing"),
        (lambda c: c.update(version=2), "`version`: expected 1"),
        (lambda c: c.update(http_interactions=[]), "Ruby"),
        (lambda c: first(c).pop("request"), "interaction 0: `request`: expected an object, got nothing"),
        (lambda c: first(c)["request"].pop("uri"), "interaction 0: `request.uri`: expected a string"),
        (lambda c: first(c)["request"].update(uri="/v1/chat"), "interaction 0: `request.uri`: expected an http"),
        (lambda c: first(c)["response"].update(status="200"), "interaction 0: `response.status.code`"),
        (lambda c: first(c)["response"]["status"].update(code=42), "interaction 0: `response.status.code`"),
        (
            lambda c: first(c)["response"].update(body={"base64_string": "%%"}),
            "`response.body.base64_string`: not base64",
        ),
        (lambda c: first(c)["response"].update(body={"strng": "x"}), "`response.body`: expected `string`"),
        (lambda c: first(c)["response"].update(body=[1]), "`response.body`: expected text"),
        (lambda c: first(c)["response"].update(headers=[1]), "`response.headers`: expected an object"),
        (lambda c: first(c)["response"]["headers"].update({"X": [[]]}), "`response.headers`: expected a string"),
        (
            lambda c: first(c)["response"].update(
                headers={"content-encoding": ["gzip"]}, body={"string": b"\x1f\x8b broken"}
            ),
            "`response.body`: the body is not valid gzip",
        ),
    ],
)
def test_a_broken_cassette(change: Callable[[dict[str, Any]], object], said: str, tmp_path: Path) -> None:
    good = tmp_path / "good.yaml"
    good.write_text(yaml.safe_dump(a_cassette(TEXT)))
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump(broken(change, a_cassette(TEXT))))
    tally, lines = run("vcr", path, good, out=tmp_path / "out")
    assert (tally.recorded, tally.lost) == (1, 1)
    assert str(path) in lines[0]
    assert said in lines[0]
    assert "hush" not in "".join(lines)


@pytest.mark.parametrize(
    ("source", "text", "said"),
    [
        ("vcr", "a: b: c", "line 1: not the YAML of a cassette"),
        ("vcr", "!!python/object:os.system {}", "not the YAML of a cassette"),
        ("har", "{", "not JSON"),
        ("har", "{}", "`log.entries`: expected a list, got nothing"),
        ("jsonl", "", "no events in it"),
        ("jsonl", '{"choices":[]}\n{"a":', "line 2: not JSON"),
        ("jsonl", 'data: {"choices":[]}', "line 1: a line of a framed stream"),
        ("jsonl", '{"a":1}', "name it with --api"),
        ("jsonl", '{"type":"message_start"}\n{"a":1}', "line 2: `type`"),
        ("recordings", "{}", "api"),
    ],
)
def test_a_file_that_is_none_of_its_kind(source: str, text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_text(text)
    tally, lines = run(source, path, out=tmp_path / "out")
    assert (tally.recorded, tally.lost) == (0, 1)
    assert str(path) in lines[0]
    assert said in lines[0]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda e: e.pop("request"), "entry 0: `request`"),
        (lambda e: e["request"].update(url=1), "entry 0: `request.url`: expected a string, got int"),
        (lambda e: e["response"].update(status=0), "entry 0: `response.status`: no HTTP status"),
        (lambda e: e["response"]["content"].pop("text"), "entry 0: `response.content.text`: missing"),
        (lambda e: e["response"]["content"].update(encoding="rot13"), "`response.content.encoding`: expected base64"),
        (lambda e: e["response"]["content"].update(encoding="base64", text="%"), "`response.content.text`: not base64"),
        (lambda e: e["response"]["headers"].append({"name": "x"}), "`response.headers["),
        (lambda e: e["response"].update(headers=1), "entry 0: `response.headers`: expected a list, got int"),
        (lambda e: e["request"].update(headers=1), "entry 0: `request.headers`: expected a list, got int"),
        (lambda e: e["request"].update(postData={"params": 1}), "entry 0: `request.postData.params`: expected a list"),
    ],
)
def test_a_broken_archive(change: Callable[[dict[str, Any]], object], said: str, tmp_path: Path) -> None:
    archive = a_har(TEXT)
    archive["log"]["entries"] *= 1
    archive["log"]["entries"].append(json.loads(json.dumps(archive["log"]["entries"][0])))
    change(archive["log"]["entries"][0])
    path = tmp_path / "a.har"
    path.write_text(json.dumps(archive))
    tally, lines = run("har", path, out=tmp_path / "out")
    assert (tally.recorded, tally.lost) == (1, 1)
    assert any(said in line and str(path) in line for line in lines)


def test_a_page_among_the_entries_is_passed_over_even_without_its_body(tmp_path: Path) -> None:
    archive = a_har(TEXT)
    page = json.loads(json.dumps(archive["log"]["entries"][0]))
    page["request"].update(method="GET", url="https://example.com/app.js?token=hush-token-12")
    del page["response"]["content"]["text"]
    archive["log"]["entries"].insert(0, page)
    path = tmp_path / "a.har"
    path.write_text(json.dumps(archive))
    tally, lines = run("har", path, out=tmp_path / "out")
    assert (tally.recorded, tally.passed, tally.lost) == (1, 1, 0)
    assert "GET /app.js" in lines[0]
    assert "hush" not in "".join(lines)


def test_a_form_of_a_har_is_read_from_its_parameters(tmp_path: Path) -> None:
    archive = a_har(TEXT)
    request = archive["log"]["entries"][0]["request"]
    request["headers"][2]["value"] = "application/x-www-form-urlencoded"
    request["postData"] = {"params": [{"name": "q", "value": "a b"}, {"name": "api_key", "value": "hush-1"}]}
    path = tmp_path / "a.har"
    path.write_text(json.dumps(archive))
    run("har", path, out=tmp_path / "out")
    (imported,) = all_in(tmp_path / "out")
    assert imported.request is not None
    assert imported.request.body == urlencode({"q": "a b"})


def test_a_cassette_with_parsed_answers_says_so(tmp_path: Path) -> None:
    cassette = a_cassette(TEXT)
    response = first(cassette)["response"]
    del response["body"]
    response["parsed_body"] = {"object": "chat.completion", "choices": []}
    response["headers"] = {"content-type": [JSON_TYPE], "content-encoding": ["gzip"]}
    path = tmp_path / "a.yaml"
    path.write_text(yaml.safe_dump(cassette))
    run("vcr", path, out=tmp_path / "out")
    (imported,) = all_in(tmp_path / "out")
    assert json.loads(imported.response.body) == response["parsed_body"]
    assert imported.source["bytes"] == "JSON re-serialised by the recorder"


def test_recordings_keep_what_they_say_and_lose_what_they_should_not(tmp_path: Path) -> None:
    body = b'{"error":{"message":"bad key sk-0123456789abcdefghij"}}'
    old = Recording(
        name="old",
        api="openai-chat",
        vendor="me",
        kind="error",
        request=RecordedRequest(
            path="/v1/chat/completions", headers={"accept": "*/*"}, body={"user": "sk-0123456789abcdefghij"}
        ),
        response=RecordedResponse(status=401, headers={"content-type": JSON_TYPE}, body=body),
        timing=[(1.5, 10), (2.5, len(body) - 10)],
        source={"licence": "MIT"},
        incomplete="the client left",
    )
    save_recording(old, tmp_path / "set")
    for _ in range(2):
        run("recordings", tmp_path / "set", out=tmp_path / "out")
    twice, once = all_in(tmp_path / "out")
    assert (once.name, twice.name) == ("old", "old-2")
    assert once.response.body == b'{"error":{"message":"bad key xxxxxxxxxxxxxxxxxxxxxxx"}}'
    assert (once.timing, once.source, once.vendor, once.incomplete) == (old.timing, old.source, "me", old.incomplete)
    assert [item.where for item in once.scrubbed] == ["request.body.user", "response.body.error.message"]
    # Again: nothing new is found, and the list stays.
    run("recordings", tmp_path / "out" / "openai-chat" / "error" / "old.json", out=tmp_path / "third")
    (third,) = all_in(tmp_path / "third")
    assert third == once


def test_the_user_may_name_api_vendor_and_name(tmp_path: Path) -> None:
    _, path = write_vcr(TEXT, tmp_path)
    run("vcr", path, out=tmp_path / "out", choice=Choice(api="cohere-chat", vendor="me", name="mine"))
    (imported,) = all_in(tmp_path / "out")
    assert (imported.api, imported.vendor, imported.name) == ("cohere-chat", "me", "mine")
