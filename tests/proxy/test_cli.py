"""The `triway` command: its output, its exit codes and where it finds the configuration."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from providers.registry import provider_registry
from proxy.cli import main
from tests.support.process import command, environment

GOOD = "models: [{name: a, type: replay, config: {api: openai-chat, recording: text}}]\n"
BAD = """\
server:
  port: abc
models:
  - name: a
    type: opanai
  - name: b
    type: openai
    config: {timeout: soon, apiKey: "${TRIWAY_TEST_NOT_SET}"}
"""
PROBLEMS = [
    "{file}:2: server.port: expected integer, got string 'abc'",
    "{file}:5: models[0].type: unknown provider type 'opanai'; did you mean 'openai'?"
    f" known types: {', '.join(provider_registry().names())}",
    "{file}:8: models[1].config.timeout: expected integer, got string 'soon'",
    "{file}:8: models[1].config.apiKey: environment variable TRIWAY_TEST_NOT_SET is not set",
]
EXTENSION = """
from providers import HTTPProvider, extension, http_schema

@extension(
    name="mine",
    version="2.1.0",
    description="My own service",
    configuration_schema=http_schema(
        required=("apiKey",), style={"enum": ["plain", "florid"], "default": "plain", "description": "How it writes."}
    ),
)
class Mine(HTTPProvider):
    def request_out(self, request):
        raise RuntimeError
    def response_in(self, body, request):
        raise RuntimeError
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and no configuration in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRIWAY_CONFIG", raising=False)
    monkeypatch.delenv("TRIWAY_TEST_NOT_SET", raising=False)
    return tmp_path


def triway(*arguments: str, **variables: str) -> Result:
    return CliRunner().invoke(main, arguments, env=variables)


def test_check_of_a_good_file(folder: Path) -> None:
    (folder / "gateway.yaml").write_text(GOOD)
    result = triway("check")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "gateway.yaml: fine, 1 model\n", "")


def test_check_counts_the_models(folder: Path) -> None:
    (folder / "two.yaml").write_text(
        GOOD.replace("[{name: a", "[{name: b, type: replay, config: {api: openai-chat}}, {name: a")
    )
    assert triway("check", "--config", "two.yaml").stdout == "two.yaml: fine, 2 models\n"


@pytest.mark.parametrize("name", ["check", "serve", "providers"])
def test_everything_that_is_wrong_is_told_and_the_exit_code_is_2(folder: Path, name: str) -> None:
    (folder / "gateway.yaml").write_text(BAD)
    result = triway(name)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.splitlines() == [problem.format(file="gateway.yaml") for problem in PROBLEMS]


@pytest.mark.parametrize("name", ["check", "serve"])
def test_a_missing_file_is_told_and_the_exit_code_is_2(folder: Path, name: str) -> None:
    result = triway(name, "-c", "nowhere.yaml")
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", "nowhere.yaml: no such file\n")


def test_serve_with_a_bad_file_from_a_shell(folder: Path) -> None:
    (folder / "bad.yaml").write_text(BAD)
    done = subprocess.run(
        command("serve", "-c", "bad.yaml"), capture_output=True, text=True, env=environment(), timeout=60, check=False
    )
    assert done.returncode == 2
    assert done.stderr.splitlines() == [problem.format(file="bad.yaml") for problem in PROBLEMS]
    assert done.stdout == ""


def test_the_file_can_be_named_in_the_environment(folder: Path) -> None:
    (folder / "other.yaml").write_text(GOOD)
    assert triway("check", TRIWAY_CONFIG="other.yaml").stdout == "other.yaml: fine, 1 model\n"
    (folder / "option.yaml").write_text(GOOD)
    with_option = triway("check", "-c", "option.yaml", TRIWAY_CONFIG="other.yaml")
    assert with_option.stdout == "option.yaml: fine, 1 model\n", "the option wins"


def test_providers_are_listed_without_a_configuration(folder: Path) -> None:
    result = triway("providers")
    assert result.exit_code == 0
    heads = [line for line in result.stdout.splitlines() if not line.startswith(" ")]
    assert [head.split()[0] for head in heads] == provider_registry().names()
    assert "  retryAttempts (integer; default 2): How often a request is tried again" in result.stdout


def test_a_preset_is_listed_with_what_it_changes(folder: Path) -> None:
    groq = triway("providers").stdout.partition("\ngroq ")[2].partition("\nhuggingface ")[0]
    head, *settings = groq.splitlines()
    assert head.endswith("Groq (a preset of openai-compatible, with its settings and these defaults)")
    assert settings == [
        "  apiKey (string; default ${GROQ_API_KEY}; required): The provider's API key. Never logged.",
        '  baseUrl (string; default "https://api.groq.com/openai/v1"): Where the provider\'s API is.',
    ]


def test_providers_lists_the_configuration_s_own_with_their_settings(folder: Path) -> None:
    (folder / "mine.py").write_text(EXTENSION)
    (folder / "gateway.yaml").write_text("availableExtensions: [{path: ./mine.py}]\n" + GOOD)
    result = triway("providers")
    assert "\nmine 2.1.0: My own service\n" in result.stdout
    mine = result.stdout.partition("\nmine ")[2]
    assert "  apiKey (string; required): The provider's API key." in mine
    assert '  style (one of plain, florid; default "plain"): How it writes.' in mine


def test_providers_as_json_holds_the_schemas(folder: Path) -> None:
    (folder / "mine.py").write_text(EXTENSION)
    (folder / "gateway.yaml").write_text("availableExtensions: [{path: ./mine.py}]\n" + GOOD)
    types = json.loads(triway("providers", "--json").stdout)
    mine = next(entry for entry in types if entry["type"] == "mine")
    assert {name: mine[name] for name in ("version", "description")} == {
        "version": "2.1.0",
        "description": "My own service",
    }
    schema = mine["configurationSchema"]
    assert schema["required"] == ["apiKey"]
    assert schema["properties"]["style"]["default"] == "plain"
    assert [entry["type"] for entry in types] == sorted([*provider_registry().names(), "mine"])
    assert [entry.get("presetOf") for entry in types if entry["type"] in ("groq", "mine")] == [
        "openai-compatible",
        None,
    ]


def test_version(folder: Path) -> None:
    assert triway("version").stdout == importlib.metadata.version("triway") + "\n"


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_names_the_commands(folder: Path, option: str) -> None:
    result = triway(option)
    assert result.exit_code == 0
    for name in ("serve", "check", "providers", "version"):
        assert f"\n  {name} " in result.stdout


def test_the_command_starts_without_the_server_s_libraries(folder: Path) -> None:
    code = "import sys, proxy.cli; print([m for m in ('trio', 'quart', 'hypercorn', 'httpx') if m in sys.modules])"
    done = subprocess.run(
        [command()[0], "-c", code], capture_output=True, text=True, env=environment(), timeout=60, check=True
    )
    assert done.stdout == "[]\n"
