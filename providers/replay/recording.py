"""The format of recorded exchanges (`docs/recordings.md`): the one module that reads and writes it.

Does no network I/O and imports only msgspec and the names of secrets. A recording is two files, `NAME.json`, which
describes the exchange, and `NAME.body`, which holds the response's body as it was on the wire. In a set they lie in
folders `API/KIND/`.
"""

from __future__ import annotations

import itertools
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote_plus

import msgspec

from providers.replay.secrets import is_secret_header, is_secret_parameter

Kind = Literal["stream", "json", "error"]
KINDS: tuple[Kind, ...] = ("stream", "json", "error")

BUNDLED = Path(__file__).parent / "bundled"
"""The set that comes with the package. Its README lists it."""

JSON = Any
"""Any JSON value: a request's body is whatever its API says."""

Timing = list[tuple[float, int]]
"""For each read of the response's body: milliseconds since the request was sent, and how many bytes came."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OF_THE_FRAMING = frozenset({"content-encoding", "content-length", "transfer-encoding", "connection"})


class RecordingError(ValueError):
    """A recording cannot be read or written. The message names the file and the field."""


class RecordedRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The request, as far as it is known."""

    method: str = "POST"
    path: str
    query: str = ""
    """Without the question mark."""
    headers: dict[str, str] = {}
    body: JSON = None


class RecordedResponse(msgspec.Struct, kw_only=True):
    status: int
    headers: dict[str, str] = {}
    """Names in lower case; only those that say something about the answer (`content-type`, `retry-after` ...)."""
    body: bytes


class Scrubbed(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Something secret that was taken out of a recording. Never holds the value."""

    what: str
    """`authorization header`, `API key` ..."""
    where: str
    """`request.headers.authorization`, `response.body.choices[0].message.content` ..."""
    times: int = 1


class Recording(msgspec.Struct, kw_only=True):
    """One exchange with a provider."""

    name: str
    api: str
    """The wire format: `openai-chat`, `anthropic-messages` ..."""
    vendor: str
    kind: Kind
    """`error`: the status is 400 or more; `stream`: the body is an event stream; `json`: it is one document."""
    request: RecordedRequest | None = None
    response: RecordedResponse
    timing: Timing | None = None
    source: dict[str, JSON] = {}
    """Where it comes from: repository, path, licence, what was done to the bytes."""
    scrubbed: list[Scrubbed] = []
    """What was taken out of it. In bodies, the bytes of a secret were replaced, not removed."""
    incomplete: str = ""
    """Why the body is not all that the provider had to say; empty for a whole one."""

    @property
    def content_type(self) -> str:
        """The response's media type in lower case, without parameters; empty if it has none."""
        return self.response.headers.get("content-type", "").partition(";")[0].strip().lower()


class _ResponseFile(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    status: int
    headers: dict[str, str] = {}
    body: str
    """The name of the file beside this one that holds the bytes."""


class _File(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What `NAME.json` holds. A field that is not known is refused, because it is most likely misspelt."""

    api: str
    vendor: str
    stream: bool
    request: RecordedRequest | None
    response: _ResponseFile
    timing: Timing | None = None
    source: dict[str, JSON] = {}
    scrubbed: list[Scrubbed] = []
    incomplete: str = ""


_decoder = msgspec.json.Decoder(_File)


def load_recording(path: str | Path) -> Recording:
    """Read the recording that `path` (a `NAME.json`) describes, its body too.

    Raises `RecordingError`: a file is missing or cannot be read, or a field is wrong.
    """
    path = Path(path)
    try:
        file = _decoder.decode(path.read_bytes())
    except OSError as error:
        raise RecordingError(f"{path}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise RecordingError(f"{path}: {error}") from error
    response = file.response
    if Path(response.body).name != response.body:
        raise RecordingError(f"{path}: `$.response.body` must name a file beside this one, got {response.body!r}")
    try:
        body = (path.parent / response.body).read_bytes()
    except OSError as error:
        raise RecordingError(f"{path}: `$.response.body` {response.body!r}: {error.strerror}") from error
    recording = Recording(
        name=path.stem,
        api=file.api,
        vendor=file.vendor,
        kind="error" if response.status >= 400 else "stream" if file.stream else "json",
        request=file.request,
        response=RecordedResponse(status=response.status, headers=response.headers, body=body),
        timing=file.timing,
        source=file.source,
        scrubbed=file.scrubbed,
        incomplete=file.incomplete,
    )
    _check(recording, path)
    return recording


def load_recordings(folder: str | Path, *, api: str | None = None, kind: Kind | None = None) -> list[Recording]:
    """Read a set (`API/KIND/NAME.json` under `folder`), or the part of it for one API or kind, in order of the paths.

    Incomplete recordings are left out: a cut answer is not what a provider says, so nothing may be measured by it.

    Raises `RecordingError`: there is no such folder, a recording is wrong, or one lies in a folder that is not its own.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise RecordingError(f"{folder}: no such folder")
    recordings: list[Recording] = []
    for path in sorted(folder.glob(f"{api or '*'}/{kind or '*'}/*.json")):
        recording = load_recording(path)
        own = (recording.api, recording.kind)
        if (path.parent.parent.name, path.parent.name) != own:
            raise RecordingError(f"{path}: `$.api` and kind are {'/'.join(own)}, which is not the folder it lies in")
        if not recording.incomplete:
            recordings.append(recording)
    return recordings


def save_recording(recording: Recording, folder: str | Path) -> Path:
    """Write `recording` into the set under `folder` and return the path of its `NAME.json`.

    Credentials in headers and query are left out. A recording of the same name is replaced. Raises `RecordingError` for
    a recording that could not be read back, `OSError` when the disk does not take it.
    """
    path = _path_of(recording, folder)
    _check(recording, path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(recording, path)
    return path


def save_new_recording(recording: Recording, folder: str | Path) -> Path:
    """Like `save_recording`, but never replaces anything: a name that is taken gets a number (`NAME-2` ...).

    Two processes that save the same name at the same time get different ones.
    """
    _check(recording, _path_of(recording, folder))
    for number in itertools.count(1):
        name = recording.name if number == 1 else f"{recording.name}-{number}"
        path = _path_of(msgspec.structs.replace(recording, name=name), folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            continue
        try:
            # The body's file is the claim to the name.
            path.with_suffix(".body").open("xb").close()
        except FileExistsError:
            continue
        written = False
        try:
            _write(msgspec.structs.replace(recording, name=name), path)
            written = True
        finally:
            if not written:
                with suppress(OSError):
                    path.with_suffix(".body").unlink()
        return path
    raise AssertionError("there is always another number")


def _path_of(recording: Recording, folder: str | Path) -> Path:
    if not _NAME.fullmatch(recording.name):
        raise RecordingError(f"name {recording.name!r}: expected letters, digits, '.', '_' and '-'")
    path = Path(folder) / recording.api / recording.kind / f"{recording.name}.json"
    if not _NAME.fullmatch(recording.api):
        raise RecordingError(f"{path}: `$.api` {recording.api!r}: expected letters, digits, '.', '_' and '-'")
    if (recording.kind == "error") != (recording.response.status >= 400):
        raise RecordingError(f"{path}: kind {recording.kind!r} does not go with status {recording.response.status}")
    return path


def _write(recording: Recording, path: Path) -> None:
    file = _File(
        api=recording.api,
        vendor=recording.vendor,
        stream=recording.kind == "stream",
        request=_without_secrets(recording.request),
        response=_ResponseFile(
            status=recording.response.status,
            headers=_without_secret_headers(recording.response.headers),
            body=f"{recording.name}.body",
        ),
        timing=recording.timing,
        source=recording.source,
        scrubbed=recording.scrubbed,
        incomplete=recording.incomplete,
    )
    # The body first, and the description whole or not at all: whoever finds it finds the bytes too.
    path.with_name(file.response.body).write_bytes(recording.response.body)
    half = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    half.write_bytes(msgspec.json.format(msgspec.json.encode(file), indent=1) + b"\n")
    half.replace(path)


def _check(recording: Recording, path: Path) -> None:
    status = recording.response.status
    if not 100 <= status <= 599:
        raise RecordingError(f"{path}: `$.response.status` must be an HTTP status, got {status}")
    if status < 200 or status in (204, 205, 304):
        raise RecordingError(f"{path}: `$.response.status` {status} has no body, so it is no answer that can be played")
    for name, value in recording.response.headers.items():
        reason = _why_unplayable(name, value)
        if reason:
            raise RecordingError(f"{path}: `$.response.headers` {name!r}: {reason}")
    timing = recording.timing
    if timing is None:
        return
    size = sum(count for _, count in timing)
    if size != len(recording.response.body):
        raise RecordingError(f"{path}: `$.timing` counts {size} bytes, the body has {len(recording.response.body)}")
    times = [time for time, _ in timing]
    if times != sorted(times) or any(time < 0 for time in times) or any(count < 1 for _, count in timing):
        raise RecordingError(f"{path}: `$.timing` must hold rising times and at least one byte for each read")


def _why_unplayable(name: str, value: str) -> str:
    """What is wrong with a header of the response, if it cannot be sent as it is or would not go with the body."""
    if not _HEADER_NAME.fullmatch(name):
        return "no name of an HTTP header"
    if name.lower() in _OF_THE_FRAMING:
        return "belongs to how the body was sent, and the body is recorded without that"
    if any(mark in value for mark in "\r\n\0"):
        return "its value has a line break"
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        return "its value has characters that HTTP cannot send"
    return ""


def _without_secrets(request: RecordedRequest | None) -> RecordedRequest | None:
    if request is None:
        return None
    parameters = [part for part in request.query.split("&") if not is_secret_parameter(_name_of(part))]
    return msgspec.structs.replace(
        request, headers=_without_secret_headers(request.headers), query="&".join(parameters)
    )


def _without_secret_headers(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if not is_secret_header(name)}


def _name_of(parameter: str) -> str:
    return unquote_plus(parameter.partition("=")[0])
