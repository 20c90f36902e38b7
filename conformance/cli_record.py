"""`triway conformance record` and `import`. Imports what a command needs when it runs."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from conformance.capture.build import Choice

EXIT_FAILED = 1
EXIT_USAGE = 2

_APIS = click.Choice(
    [
        "openai-chat",
        "openai-responses",
        "anthropic-messages",
        "gemini-generate",
        "bedrock-converse",
        "cohere-chat",
        "ollama-chat",
    ]
)

_api = click.option("--api", type=_APIS, help="The wire format, instead of the one that path and body tell.")
_vendor = click.option("--vendor", metavar="NAME", help="Who answers, instead of whom the host tells.")
_name = click.option("--name", metavar="NAME", help="The recordings' name; a number is added where it is taken.")
_out = click.option(
    "--out", required=True, type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="The set to add to."
)


@click.command()
@click.option("--upstream", required=True, metavar="URL", help="The provider's base URL.")
@_out
@click.option("--listen", default="127.0.0.1:8081", show_default=True, metavar="HOST:PORT", help="Port 0: a free one.")
@_api
@_vendor
@_name
@click.option("--ca-bundle", type=click.Path(exists=True), metavar="FILE", help="CAs to trust, for the upstream.")
def record(
    upstream: str, out: Path, listen: str, api: str | None, vendor: str | None, name: str | None, ca_bundle: str | None
) -> None:
    """Pass requests on to a provider and record what it answers, without credentials.

    Point an SDK's base URL at the address that is printed. Stops on SIGINT or SIGTERM.
    """
    import logging

    import trio

    from conformance.recorder.run import run
    from conformance.recorder.settings import RecorderSettings
    from proxy.server import StartupError

    settings = RecorderSettings(
        upstream=upstream, out=out, listen=_address(listen), choice=_choice(api, vendor, name), ca_bundle=ca_bundle
    )
    # What the server logs of a cut answer or of a stop, the recorder says itself.
    logging.getLogger("triway.server").setLevel(logging.ERROR)
    try:
        tally = trio.run(run, settings, _say)
    except (ValueError, OSError) as error:
        raise click.BadParameter(str(error), param_hint="--upstream") from error
    except StartupError as error:
        click.echo(f"cannot start: {error}", err=True)
        sys.exit(EXIT_FAILED)
    sys.exit(EXIT_FAILED if tally.lost else 0)


@click.command(name="import")
@click.option(
    "--from", "source", required=True, type=click.Choice(["vcr", "har", "jsonl", "recordings"]), help="What FILE is."
)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True), metavar="FILE...")
@_out
@_api
@_vendor
@_name
def import_recordings(
    source: str, files: tuple[Path, ...], out: Path, api: str | None, vendor: str | None, name: str | None
) -> None:
    """Make recordings of what another tool wrote, without credentials.

    \b
    vcr         VCR cassettes, YAML or JSON (vcrpy, pytest-recording)
    har         HTTP archives (HAR 1.2), of browsers and proxies
    jsonl       one event of one stream a line, as JSON; its framing is put back
    recordings  recordings of this format, or a folder of them: checked, scrubbed, copied
    """
    from conformance.imports import import_files

    tally = import_files(source, files, out, _choice(api, vendor, name), _say)
    _say(f"{tally.summary()}; in {out}")
    sys.exit(EXIT_FAILED if tally.lost or not tally.recorded else 0)


def _say(line: str) -> None:
    # Whoever reads this may have gone; the recordings are what counts.
    with suppress(BrokenPipeError):
        click.echo(line, err=True)


def _address(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise click.BadParameter(f"{text!r}: expected HOST:PORT", param_hint="--listen")
    return text


def _choice(api: str | None, vendor: str | None, name: str | None) -> Choice:
    from conformance.capture.build import Choice, slug

    for option, text in (("--name", name), ("--vendor", vendor)):
        if text is not None and slug(text) != text:
            raise click.BadParameter(f"{text!r}: expected letters, digits, '.' and '-'", param_hint=option)
    return Choice(api=api, vendor=vendor, name=name)


COMMANDS: tuple[click.Command, ...] = (record, import_recordings)
"""What `conformance.cli` adds to its group."""
