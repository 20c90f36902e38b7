"""The format of recordings: what is written can be read, what is wrong is named."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from providers.replay.events import split_events
from providers.replay.recording import (
    KINDS,
    RecordedRequest,
    RecordedResponse,
    Recording,
    RecordingError,
    Scrubbed,
    load_recording,
    load_recordings,
    save_new_recording,
    save_recording,
)
from providers.replay.secrets import is_secret_header, is_secret_parameter
from tests.support.recordings import SHARED

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
names = st.text(string.ascii_letters + string.digits + "._-", min_size=1, max_size=20).filter(
    lambda name: name[0] not in "._-"
)
headers = st.dictionaries(
    st.sampled_from(["content-type", "retry-after", "x-request-id"]),
    st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=20),
    max_size=3,
)


_PLAYABLE = st.integers(200, 399).filter(lambda status: status not in (204, 205, 304))


@st.composite
def recordings(draw: st.DrawFn) -> Recording:
    kind = draw(st.sampled_from(KINDS))
    reads = draw(st.none() | st.lists(st.binary(min_size=1, max_size=20), max_size=5))
    times = sorted(draw(st.floats(0, 1e6)) for _ in reads or ())
    return Recording(
        name=draw(names),
        api=draw(names),
        vendor=draw(st.text(max_size=10)),
        kind=kind,
        request=draw(
            st.none()
            | st.builds(
                RecordedRequest,
                method=st.sampled_from(["POST", "GET"]),
                path=st.text(max_size=20),
                query=st.sampled_from(["", "beta=true", "alt=sse&x=1"]),
                headers=headers,
                body=json_values,
            )
        ),
        response=RecordedResponse(
            status=draw(st.integers(400, 599) if kind == "error" else _PLAYABLE),
            headers=draw(headers),
            body=draw(st.binary(max_size=200)) if reads is None else b"".join(reads),
        ),
        timing=None if reads is None else [(time, len(read)) for time, read in zip(times, reads, strict=True)],
        source=draw(st.dictionaries(st.text(max_size=5), json_values, max_size=2)),
        scrubbed=draw(
            st.lists(st.builds(Scrubbed, what=st.text(), where=st.text(), times=st.integers(1, 9)), max_size=2)
        ),
        incomplete=draw(st.sampled_from(["", "the client left"])),
    )


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(recording=recordings())
def test_what_is_saved_can_be_loaded(recording: Recording, tmp_path: Path) -> None:
    path = save_recording(recording, tmp_path)
    assert path == tmp_path / recording.api / recording.kind / f"{recording.name}.json"
    assert load_recording(path) == recording


def an_error() -> dict[str, Any]:
    return {
        "api": "openai-chat",
        "vendor": "openai",
        "stream": False,
        "request": {"method": "POST", "path": "/v1/chat/completions", "query": "", "body": {"model": "m"}},
        "response": {"status": 429, "headers": {"content-type": "application/json"}, "body": "one.body"},
        "source": {},
    }


def write(folder: Path, description: object, body: bytes | None = b"{}") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "one.json"
    path.write_text(description if isinstance(description, str) else json.dumps(description))
    if body is not None:
        (folder / "one.body").write_bytes(body)
    return path


def test_the_documented_example_can_be_read(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "recordings.md").read_text()
    example = text[text.index("## NAME.json") :]
    block = "\n".join(line for line in example.splitlines() if line.startswith("    "))
    description = json.JSONDecoder().raw_decode(block.strip())[0]
    description["response"]["body"] = "one.body"
    recording = load_recording(write(tmp_path, description, b"x" * 431))
    assert recording.kind == "stream"
    assert recording.timing == [(412.5, 233), (431.0, 198)]


@pytest.mark.parametrize(
    ("status", "stream", "kind"),
    [(200, True, "stream"), (200, False, "json"), (429, False, "error"), (500, True, "error")],
)
def test_the_kind_follows_from_status_and_stream(tmp_path: Path, status: int, stream: bool, kind: str) -> None:
    description = an_error()
    description["response"]["status"] = status
    description["stream"] = stream
    assert load_recording(write(tmp_path, description)).kind == kind


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"api": None}, "$.api"),
        ({"response": {"status": "429", "headers": {}, "body": "one.body"}}, "$.response.status"),
        ({"response": {"status": 42, "headers": {}, "body": "one.body"}}, "$.response.status"),
        ({"response": {"status": 200, "headers": {"a": 1}, "body": "one.body"}}, "$.response.headers"),
        *(
            ({"response": {"status": 200, "headers": headers, "body": "one.body"}}, said)
            for headers, said in (
                ({"x-\u20ac": "1"}, "no name of an HTTP header"),
                ({"x y": "1"}, "no name of an HTTP header"),
                ({"x": "\u20ac"}, "`$.response.headers` 'x': its value has characters that HTTP cannot send"),
                ({"x": "1\r\ny: 2"}, "its value has a line break"),
                ({"Content-Encoding": "gzip"}, "belongs to how the body was sent"),
                ({"transfer-encoding": "chunked"}, "belongs to how the body was sent"),
            )
        ),
        *(({"response": {"status": status, "body": "one.body"}}, "has no body") for status in (101, 204, 304)),
        ({"response": {"status": 200, "body": "../one.body"}}, "$.response.body"),
        ({"response": {"status": 200, "body": "other.body"}}, "$.response.body"),
        ({"request": {"method": "POST"}}, "path"),
        ({"timming": []}, "timming"),
        ({"timing": [[1.0, 1]]}, "$.timing"),
        ({"timing": [[5.0, 1], [1.0, 1]]}, "$.timing"),
        ({"timing": [[1.0, 0], [2.0, 2]]}, "$.timing"),
    ],
)
def test_an_error_names_the_file_and_the_field(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    path = write(tmp_path, {**an_error(), **change})
    with pytest.raises(RecordingError) as caught:
        load_recording(path)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)


def test_files_that_are_not_there_or_not_json(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"none\.json.*No such file"):
        load_recording(tmp_path / "none.json")
    with pytest.raises(RecordingError, match=r"one\.json"):
        load_recording(write(tmp_path, "{"))
    with pytest.raises(RecordingError, match=r"one\.body.*No such file"):
        load_recording(write(tmp_path / "bodiless", an_error(), body=None))
    with pytest.raises(RecordingError, match="no such folder"):
        load_recordings(tmp_path / "nowhere")


def test_a_set_is_sorted_and_can_be_narrowed(tmp_path: Path) -> None:
    for api, kind, name in [("b", "json", "x"), ("a", "stream", "z"), ("a", "json", "y"), ("a", "json", "w")]:
        response = RecordedResponse(status=200, body=b"")
        save_recording(Recording(name=name, api=api, vendor="v", kind=kind, response=response), tmp_path)  # type: ignore[arg-type]
    assert [recording.name for recording in load_recordings(tmp_path)] == ["w", "y", "z", "x"]
    assert [recording.name for recording in load_recordings(tmp_path, api="a")] == ["w", "y", "z"]
    assert [recording.name for recording in load_recordings(tmp_path, api="a", kind="stream")] == ["z"]


def test_a_recording_in_a_folder_that_is_not_its_own_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "openai-chat" / "json", an_error())
    with pytest.raises(RecordingError, match=r"one\.json.*openai-chat/error"):
        load_recordings(tmp_path)


def test_credentials_are_not_saved(tmp_path: Path) -> None:
    recording = Recording(
        name="one",
        api="gemini-generate",
        vendor="google",
        kind="json",
        request=RecordedRequest(
            path="/",
            query="alt=sse&key=SECRET&x=1",
            headers={"Authorization": "SECRET", "x-api-key": "SECRET", "Cookie": "SECRET", "accept": "*/*"},
        ),
        response=RecordedResponse(status=200, body=b""),
    )
    path = save_recording(recording, tmp_path)
    assert "SECRET" not in path.read_text()
    request = load_recording(path).request
    assert request is not None
    assert (request.query, request.headers) == ("alt=sse&x=1", {"accept": "*/*"})


def test_response_headers_lose_their_credentials_too(tmp_path: Path) -> None:
    headers = {"set-cookie": "SECRET", "openai-organization": "SECRET", "content-type": "text/plain"}
    response = RecordedResponse(status=200, headers=headers, body=b"")
    path = save_recording(Recording(name="one", api="a", vendor="v", kind="json", response=response), tmp_path)
    assert load_recording(path).response.headers == {"content-type": "text/plain"}


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("Authorization", True),
        ("x-goog-api-key", True),
        ("x-amz-security-token", True),
        ("Ocp-Apim-Subscription-Key", True),
        ("cf-access-client-secret", True),
        ("set-cookie", True),
        ("x-auth-key", True),
        ("x-key", True),
        ("x-portkey-virtual-key", True),
        ("x-jwt", True),
        ("x-authentication", True),
        ("passphrase", True),
        ("x-pat", True),
        ("bearer", True),
        ("x-user-email", True),
        ("x-forwarded-user", True),
        ("www-authenticate", False),
        ("user-agent", False),
        ("idempotency-key", False),
        ("x-ratelimit-remaining-tokens", False),
        ("x-amzn-bedrock-input-token-count", False),
        ("content-type", False),
    ],
)
def test_which_headers_are_secret(name: str, secret: bool) -> None:
    assert is_secret_header(name) is secret


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("key", True),
        ("api-key", True),
        ("X-Amz-Signature", True),
        ("X-Amz-Credential", True),
        ("X-Goog-Signature", True),
        ("sig", True),
        ("access_token", True),
        ("code", True),
        ("pwd", True),
        ("country_code", False),
        ("alt", False),
        ("api-version", False),
        ("keyword", False),
        ("X-Amz-Date", False),
    ],
)
def test_which_parameters_are_secret(name: str, secret: bool) -> None:
    assert is_secret_parameter(name) is secret


def test_a_set_leaves_out_what_is_incomplete(tmp_path: Path) -> None:
    for name, incomplete in (("cut", "the client left"), ("whole", "")):
        response = RecordedResponse(status=200, body=b"")
        recording = Recording(name=name, api="a", vendor="v", kind="json", response=response, incomplete=incomplete)
        path = save_recording(recording, tmp_path)
        assert load_recording(path) == recording
    assert [recording.name for recording in load_recordings(tmp_path)] == ["whole"]


def test_a_new_recording_takes_the_next_free_name(tmp_path: Path) -> None:
    def one(body: bytes) -> Recording:
        return Recording(name="one", api="a", vendor="v", kind="json", response=RecordedResponse(status=200, body=body))

    paths = [save_new_recording(one(body), tmp_path) for body in (b"1", b"2")]
    (tmp_path / "a" / "json" / "one-3.body").write_bytes(b"somebody's claim")
    paths.append(save_new_recording(one(b"4"), tmp_path))
    assert [path.name for path in paths] == ["one.json", "one-2.json", "one-4.json"]
    assert [load_recording(path).response.body for path in paths] == [b"1", b"2", b"4"]
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_new_recording_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    response = RecordedResponse(status=200, body=b"")
    recording = Recording(name="one", api="a", vendor="v", kind="json", response=response, source={"x": object()})
    with pytest.raises(TypeError):
        save_new_recording(recording, tmp_path)
    assert list((tmp_path / "a" / "json").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "api", "kind", "status"),
    [("../x", "a", "json", 200), ("x", "a/b", "json", 200), ("x", "a", "json", 429), ("x", "a", "error", 200)],
)
def test_what_could_not_be_read_back_is_not_saved(tmp_path: Path, name: str, api: str, kind: Any, status: int) -> None:
    recording = Recording(name=name, api=api, vendor="v", kind=kind, response=RecordedResponse(status=status, body=b""))
    with pytest.raises(RecordingError):
        save_recording(recording, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared recordings are not here")
def test_all_shared_recordings_can_be_read_and_cut() -> None:
    found = load_recordings(SHARED)
    assert len(found) == len(list(SHARED.glob("*/*/*.json"))) == len(list(SHARED.glob("*/*/*.body"))) > 200
    for recording in found:
        body = recording.response.body
        assert body
        pieces = split_events(body, recording.content_type)
        assert b"".join(pieces) == body
        if recording.kind != "stream":
            assert len(pieces) == 1
        elif recording.content_type == "text/event-stream":
            assert len(pieces) == len([part for part in body.replace(b"\r\n", b"\n").split(b"\n\n") if part.strip()])


@pytest.mark.parametrize(
    ("body", "events"),
    [
        (b"", []),
        (b"data: 1\n\ndata: 2\n\n", [b"data: 1\n\n", b"data: 2\n\n"]),
        (b"data: 1\r\n\r\ndata: 2", [b"data: 1\r\n\r\n", b"data: 2"]),
        (b"data: 1\r\rdata: 2\r\r", [b"data: 1\r\r", b"data: 2\r\r"]),
        (b"event: a\r\ndata: 1\r\n\r\n", [b"event: a\r\ndata: 1\r\n\r\n"]),
        (b": hi\n\ndata: 1\n\n", [b": hi\n\n", b"data: 1\n\n"]),
    ],
)
def test_where_events_end(body: bytes, events: list[bytes]) -> None:
    assert split_events(body, "text/event-stream") == events


def test_amazon_frames_are_cut_by_their_length() -> None:
    frames = [length.to_bytes(4, "big") + bytes(length - 4) for length in (16, 40, 23)]
    assert split_events(b"".join(frames) + b"rest", "application/vnd.amazon.eventstream") == [*frames, b"rest"]
