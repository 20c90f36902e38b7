"""The format of recorded exchanges (`docs/recordings.md`): the one module that reads and writes it.

Does no network I/O and imports only msgspec. A recording is two files, `NAME.json`, which describes the exchange, and
`NAME.body`, which holds the response's body as it was on the wire. In a set they lie in folders `API/KIND/`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

import msgspec

Kind = Literal["stream", "json", "error"]
KINDS: tuple[Kind, ...] = ("stream", "json", "error")

BUNDLED = Path(__file__).parent / "bundled"
"""The set that comes with the package. Its README lists it."""

JSON = Any
"""Any JSON value: a request's body is whatever its API says."""

Timing = list[tuple[float, int]]
"""For each read of the response's body: milliseconds since the request was sent, and how many bytes came."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SECRET_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie", "set-cookie"}
)
_SECRET_QUERY = re.compile(r"(?:^|(?<=&))(?:key|api[-_]key|access_token|token|sig)=[^&]*&?", re.IGNORECASE)


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
    )
    _check(recording, path)
    return recording


def load_recordings(folder: str | Path, *, api: str | None = None, kind: Kind | None = None) -> list[Recording]:
    """Read a set (`API/KIND/NAME.json` under `folder`), or the part of it for one API or kind, in order of the paths.

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
        recordings.append(recording)
    return recordings


def save_recording(recording: Recording, folder: str | Path) -> Path:
    """Write `recording` into the set under `folder` and return the path of its `NAME.json`.

    Credentials in the request's headers and query are left out. A recording of the same name is replaced. Raises
    `RecordingError` for a recording that could not be read back, `OSError` when the disk does not take it.
    """
    if not _NAME.fullmatch(recording.name):
        raise RecordingError(f"name {recording.name!r}: expected letters, digits, '.', '_' and '-'")
    path = Path(folder) / recording.api / recording.kind / f"{recording.name}.json"
    if not _NAME.fullmatch(recording.api):
        raise RecordingError(f"{path}: `$.api` {recording.api!r}: expected letters, digits, '.', '_' and '-'")
    if (recording.kind == "error") != (recording.response.status >= 400):
        raise RecordingError(f"{path}: kind {recording.kind!r} does not go with status {recording.response.status}")
    _check(recording, path)
    file = _File(
        api=recording.api,
        vendor=recording.vendor,
        stream=recording.kind == "stream",
        request=_without_secrets(recording.request),
        response=_ResponseFile(
            status=recording.response.status, headers=recording.response.headers, body=f"{recording.name}.body"
        ),
        timing=recording.timing,
        source=recording.source,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    # The body first: whoever finds the description finds its bytes too.
    path.with_name(file.response.body).write_bytes(recording.response.body)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(file), indent=1) + b"\n")
    return path


def _check(recording: Recording, path: Path) -> None:
    status = recording.response.status
    if not 100 <= status <= 599:
        raise RecordingError(f"{path}: `$.response.status` must be an HTTP status, got {status}")
    timing = recording.timing
    if timing is None:
        return
    size = sum(count for _, count in timing)
    if size != len(recording.response.body):
        raise RecordingError(f"{path}: `$.timing` counts {size} bytes, the body has {len(recording.response.body)}")
    times = [time for time, _ in timing]
    if times != sorted(times) or any(time < 0 for time in times) or any(count < 1 for _, count in timing):
        raise RecordingError(f"{path}: `$.timing` must hold rising times and at least one byte for each read")


def _without_secrets(request: RecordedRequest | None) -> RecordedRequest | None:
    if request is None:
        return None
    headers = {name: value for name, value in request.headers.items() if name.lower() not in _SECRET_HEADERS}
    query = _SECRET_QUERY.sub("", request.query).rstrip("&")
    return msgspec.structs.replace(request, headers=headers, query=query)
