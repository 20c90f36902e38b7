"""The `triway` command. Imports what a command needs when it runs, so that each starts fast."""

from __future__ import annotations

import importlib.metadata
import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from providers.provider import Provider
    from providers.registry import Registry
    from proxy.config import GatewayConfig, ServerConfig

EXIT_CONFIG = 2
"""The exit code for a configuration that is wrong."""


config_option = click.option(
    "--config",
    "-c",
    "config",
    envvar="TRIWAY_CONFIG",
    default="gateway.yaml",
    show_default=True,
    type=click.Path(path_type=Path),
    help="The configuration file.",
)


class _Commands(click.Group):
    """The commands of this file, and those that other packages add by the entry point group `triway.commands`.

    An added command is imported when it is called or described, so it costs `serve` nothing, and this package need not
    know who adds one.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *(entry.name for entry in self._added())})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            return command
        entry = next((entry for entry in self._added() if entry.name == cmd_name), None)
        loaded = entry.load() if entry is not None else None
        return loaded if isinstance(loaded, click.Command) else None

    @staticmethod
    def _added() -> importlib.metadata.EntryPoints:
        return importlib.metadata.entry_points(group="triway.commands")


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Triway: a self-hosted LLM gateway."""


pid_file_option = click.option(
    "--pid-file",
    envvar="TRIWAY_PID_FILE",
    type=click.Path(path_type=Path),
    help="The file in which the gateway's process id stands while it runs.",
)


@main.command()
@config_option
@pid_file_option
def serve(config: Path, pid_file: Path | None) -> None:
    """Serve the models of the configuration until SIGTERM or SIGINT. SIGHUP has it read again."""
    # Until the app listens for it, a SIGHUP is of no use to anybody, and would end the process.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    checked = _load(config)
    workers = checked.server.workers
    if pid_file is not None:
        from proxy.reloading import ReloadError, listed

        try:
            with listed(pid_file, workers):
                _serve_measured(config, checked)
        except ReloadError as error:
            click.echo(str(error), err=True)
            sys.exit(1)
    _serve_measured(config, checked)


def _serve_measured(config: Path, checked: GatewayConfig) -> NoReturn:
    workers = checked.server.workers
    if workers > 1 and checked.metrics.enabled and "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        # Must be there before the metrics module is imported, here and in every worker.
        with tempfile.TemporaryDirectory(prefix="triway-metrics-") as folder:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
            sys.exit(_serve(config, checked.server))
    sys.exit(_serve(config, checked.server))


@main.command()
@config_option
@pid_file_option
@click.option("--pid", type=int, help="The gateway's process id, where there is no such file. Nothing is waited for.")
def reload(config: Path, pid_file: Path | None, pid: int | None) -> None:
    """Have a running gateway take over its changed configuration, without dropping a request.

    With --pid-file, waits until every worker has told what came of it: exit code 0 if all have taken it over, 2 if
    something is wrong with the file, 1 for anything else. With --pid, checks the file here and sends the signal.
    """
    from proxy.reloading import ReloadError, hang_up, reload_listed

    try:
        if pid is not None:
            _load(config)
            hang_up(pid)
            click.echo(f"process {pid} was asked to reload; its log tells what came of it")
            return
        if pid_file is None:
            raise click.UsageError("give --pid-file (as to 'triway serve') or --pid")
        reports = reload_listed(pid_file)
    except ReloadError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    failed = [report for report in reports if not report.ok]
    for text in dict.fromkeys(report.error for report in failed):
        click.echo(text, err=True)
    if failed:
        sys.exit(EXIT_CONFIG if all(report.in_file for report in failed) else 1)
    click.echo(f"reloaded, {len(reports)} worker{'s' if len(reports) != 1 else ''}")
    for key in reports[0].fixed:
        click.echo(f"from the next start only: {key}")


@main.command()
@config_option
def check(config: Path) -> None:
    """Check the configuration: everything that is wrong, with file, line and key."""
    checked = _load(config)
    click.echo(f"{config}: fine, {len(checked.models)} model{'s' if len(checked.models) != 1 else ''}")


@main.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print the types with their schemas as JSON.")
def providers(config: Path, as_json: bool) -> None:
    """List the provider types, those of the configuration's extensions included, with their settings."""
    from providers.registry import provider_registry

    registry = provider_registry()
    if config.exists():
        _load(config, registry)
    if as_json:
        types = [
            {
                "type": name,
                "version": cls.metadata.version,
                "description": cls.metadata.description,
                **({"presetOf": cls.metadata.preset_of} if cls.metadata.preset_of else {}),
                "configurationSchema": cls.metadata.configuration_schema,
            }
            for name, cls in registry.items()
        ]
        click.echo(json.dumps(types, indent=2))
        return
    for name, cls in registry.items():
        metadata = cls.metadata
        schema = metadata.configuration_schema
        properties = schema.get("properties", {})
        if metadata.preset_of:
            base = registry.get(metadata.preset_of).metadata.configuration_schema.get("properties", {})
            properties = {key: value for key, value in properties.items() if value != base.get(key)}
        click.echo(f"{name} {metadata.version}: {metadata.description}" + _preset_note(metadata.preset_of))
        required = set(schema.get("required", ()))
        for key, value in properties.items():
            named = value.get("type") or "one of " + ", ".join(map(str, value.get("enum", ())))
            kind = named if isinstance(named, str) else " or ".join(named)
            notes = [f"default {json.dumps(value['default'])}"] if "default" in value else []
            notes += [f"default ${{{value['environment']}}}"] if "environment" in value else []
            notes += ["required"] if key in required else []
            click.echo(f"  {key} ({'; '.join([kind, *notes])}): {value.get('description', '')}")


def _preset_note(base: str) -> str:
    return f" (a preset of {base}, with its settings and these defaults)" if base else ""


@main.command()
def version() -> None:
    """Print the version."""
    click.echo(importlib.metadata.version("triway"))


def _load(path: Path, registry: Registry[Provider] | None = None) -> GatewayConfig:
    from proxy.config import ConfigError, load_config

    try:
        return load_config(path, providers=registry)
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(EXIT_CONFIG)


def _serve(path: Path, server: ServerConfig) -> int:
    from proxy.server import ServerSettings, serve

    host = f"[{server.host}]" if ":" in server.host else server.host
    settings = ServerSettings(
        bind=[f"{host}:{server.port}"],
        certfile=server.tls.cert_file if server.tls else None,
        keyfile=server.tls.key_file if server.tls else None,
        ca_certs=server.tls.ca_file if server.tls else None,
        workers=server.workers,
        http2=server.http2,
        write_timeout=server.write_timeout / 1000,
        graceful_timeout=server.graceful_timeout / 1000,
        drain_delay=server.drain_delay / 1000,
        keep_alive_timeout=server.keep_alive_timeout / 1000,
        header_timeout=server.header_timeout / 1000,
        max_head_bytes=server.max_header_bytes,
    )
    return serve("proxy.app:make_worker_app", settings, str(path))


if __name__ == "__main__":
    main()
