"""`ReplayProvider`: answers every request with a recording. Needs no network, no key and no money.

It is what a fresh `gateway.yaml` runs on, and what demonstrations and client tests use. Imports the wires' codecs and
the recordings of this package.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import trio

from providers.errors import GatewayError, ProviderError, error_of_event, error_told, is_half_told
from providers.extension import Config, extension
from providers.http.retry import parse_retry_after
from providers.model import Accumulator, EventKind, LLMRequest, LLMResponse, chunk_of_whole
from providers.provider import ChunkEmitter, PhaseExecution, Provider
from providers.replay.events import split_events
from providers.replay.recording import BUNDLED, KINDS, Kind, Recording, RecordingError, load_recording
from providers.wire import WIRE_MODULES, load_wire
from providers.wire.base import ProviderWire, StreamDecoder

DEFAULT_PACE = 20
"""Milliseconds between two events."""


@extension(
    name="replay",
    version="1.0.0",
    description="Answers from a recording, without a network",
    configuration_schema={
        "type": "object",
        "properties": {
            "api": {
                "enum": list(WIRE_MODULES),
                "description": "The wire format of the recording.",
            },
            "recording": {
                "type": "string",
                "minLength": 1,
                "description": "The name of a bundled recording. Default: text, unless file is set.",
            },
            "file": {
                "type": "string",
                "format": "path",
                "minLength": 1,
                "description": "The NAME.json of a recording of your own, instead of a bundled one; relative to the "
                "configuration file.",
            },
            "pace": {
                "type": "number",
                "minimum": 0,
                "default": DEFAULT_PACE,
                "description": "Time between two events, in ms.",
            },
            "chunkSize": {
                "type": "integer",
                "minimum": 1,
                "description": "Bytes that are read at a time. Default: one event at a time.",
            },
        },
        "required": ["api"],
        "additionalProperties": False,
    },
)
class ReplayProvider(Provider):
    """Plays one recording, in the lossless lane for clients of its API.

    A streamed request gets the recorded stream at its pace, or the whole answer as one chunk if there is no stream. A
    request that is not streamed gets the whole answer of the same name, or the stream folded. A recorded error is
    raised either way.
    """

    def __init__(self) -> None:
        self._wire: ProviderWire | None = None
        self._recordings: dict[Kind, Recording] = {}
        self._pace = DEFAULT_PACE / 1000
        self._chunk_size: int | None = None

    def validate_config(self, config: Config) -> bool | str:
        if "recording" in config and "file" in config:
            return "give either `recording` (a bundled one) or `file`, not both"
        try:
            _find_recordings(config)
        except RecordingError as error:
            return str(error)
        return True

    async def configure(self, config: Config) -> None:
        self.api = config["api"]
        self._wire = load_wire(self.api)
        self._recordings = _find_recordings(config)
        self._pace = config.get("pace", DEFAULT_PACE) / 1000
        self._chunk_size = config.get("chunkSize")

    def outlives_reload(self, config: Config) -> bool:
        """Not with a recording of one's own, which may be another by then."""
        return "file" not in config

    async def execute(self, request: LLMRequest) -> LLMResponse:
        """The recorded answer, whole. Raises the recorded error. A cancellation point."""
        wire = self._ready()
        await trio.lowlevel.checkpoint()
        whole = self._recordings.get("json")
        if whole is not None:
            return wire.decode_response(whole.response.body)
        decoder = wire.stream_decoder()
        chunks = [*decoder.feed(self._recordings["stream"].response.body), *decoder.eof()]
        self._note(decoder, request)
        accumulator = Accumulator()
        for chunk in chunks:
            if chunk.kind is EventKind.ERROR and chunk.error is not None:
                raise error_of_event(chunk.error, chunk.raw)
            accumulator.add(chunk)
        return accumulator.response()

    async def execute_streaming(self, request: LLMRequest, emitter: ChunkEmitter) -> PhaseExecution | None:
        """The recorded answer, event by event. A failure before the first event is raised, a later one emitted."""
        wire = self._ready()
        stream = self._recordings.get("stream")
        if stream is None:
            chunk = chunk_of_whole(wire.decode_response(self._recordings["json"].response.body))
            await emitter.emit_chunk(chunk, first=True)
            await emitter.emit_chunk(emitter.accumulator.response(), final=True)
            return None
        decoder = wire.stream_decoder()
        first = True
        try:
            # b"" stands for the end of the body, as in a read from a socket.
            failing: list[LLMResponse] = []
            for place, piece in enumerate((*self._pieces(stream), b"")):
                if place and piece:
                    await trio.sleep(self._pace)
                if piece:
                    chunks = [*failing, *decoder.feed(piece)]
                else:
                    chunks = failing or decoder.eof()
                good, failing = _apart(chunks)
                if good:
                    await emitter.emit_batch(good, first)
                    first = False
                if failing and not (piece and is_half_told(failing)):
                    raise error_told(failing)
        except ProviderError as error:
            if first:
                raise
            return await _fail(error, emitter)
        finally:
            self._note(decoder, request)
        await emitter.emit_chunk(emitter.accumulator.response(), first=first, final=True)
        return None

    def _ready(self) -> ProviderWire:
        """The wire. Raises what an error recording says."""
        assert self._wire is not None, "configure() comes first"
        recorded = self._recordings.get("error")
        if recorded is None:
            return self._wire
        status, headers = recorded.response.status, recorded.response.headers
        error = self._wire.decode_error(status, recorded.response.body)
        error.upstream_status = status
        if (wait := parse_retry_after(headers)) is not None:
            error.retry_after = wait
        error.headers = {name: value for name, value in headers.items() if name != "content-type"}
        raise error

    def _pieces(self, stream: Recording) -> Iterator[bytes]:
        body, size = stream.response.body, self._chunk_size
        if size is None:
            yield from split_events(body, stream.content_type)
        else:
            yield from (body[start : start + size] for start in range(0, len(body), size))

    @staticmethod
    def _note(decoder: StreamDecoder, request: LLMRequest) -> None:
        request.notes.skipped_events += decoder.skipped
        request.notes.dropped_blocks += decoder.dropped_blocks


def _apart(chunks: list[LLMResponse]) -> tuple[list[LLMResponse], list[LLMResponse]]:
    """The chunks before the first in-band error, and those from it on."""
    for place, chunk in enumerate(chunks):
        if chunk.kind is EventKind.ERROR and chunk.error is not None:
            return chunks[:place], chunks[place:]
    return chunks, []


async def _fail(error: GatewayError, emitter: ChunkEmitter) -> PhaseExecution:
    await emitter.emit_error(error)
    return PhaseExecution(success=False, status=error.status, error=error.message)


def _find_recordings(config: Config) -> dict[Kind, Recording]:
    """The recordings that `config` asks for, by kind: an error alone, or a stream and its whole twin, or one of them.

    Raises `RecordingError`.
    """
    api: str = config["api"]
    if "file" in config:
        named = load_recording(config["file"])
        if named.api != api:
            raise RecordingError(f"file: {config['file']} is a recording of {named.api}, not of {api}")
        if named.incomplete:
            raise RecordingError(f"file: {config['file']} is no whole answer: {named.incomplete}")
        found: dict[Kind, Recording] = {named.kind: named}
        twin: Kind = "json" if named.kind == "stream" else "stream"
        path = Path(config["file"]).resolve()
        beside = path.parent.parent / twin / path.name
        if named.kind != "error" and path.parent.name == named.kind and beside.is_file():
            other = load_recording(beside)
            found |= {} if other.incomplete else {twin: other}
        return found
    name: str = config.get("recording", "text")
    found = {
        kind: load_recording(BUNDLED / api / kind / f"{name}.json")
        for kind in KINDS
        if name in bundled_names(api, kind)
    }
    if not found:
        known = sorted(set().union(*(bundled_names(api, kind) for kind in KINDS)))
        raise RecordingError(f"recording: no bundled recording {name!r} of {api}; there are {', '.join(known)}")
    return found


def bundled_names(api: str, kind: Kind) -> set[str]:
    """The names of the bundled recordings of an API and kind."""
    return {path.stem for path in (BUNDLED / api / kind).glob("*.json")}
