"""A folder with extensions of every temper, and a way to load a `gateway.yaml` in it."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from providers.provider import Provider
from providers.registry import Registry
from proxy.config import ConfigError, GatewayConfig, load_config

EXTENSIONS = """
from providers.extension import extension
from providers.provider import Provider

class _Base(Provider):
    async def execute(self, request): ...
    async def execute_streaming(self, request, emitter): ...

@extension(name="echo", version="1", configuration_schema={
    "type": "object",
    "properties": {
        "apiKey": {"type": "string", "minLength": 8},
        "timeout": {"type": "integer", "minimum": 1, "default": 5000},
        "mode": {"enum": ["fast", "slow"], "default": "fast"},
        "customHeaders": {"type": "object", "additionalProperties": {"type": "string"}},
        "tags": {"type": "array", "items": {"type": "string"}},
        "limits": {"type": "object", "default": {}, "properties": {"rate": {"type": "number", "default": 1.5}}},
        "dropUnsupported": {"type": "boolean", "default": False},
    },
    "additionalProperties": False,
})
class Echo(_Base): pass

@extension(name="strict", version="1", configuration_schema={"required": ["apiKey", "region"]})
class Strict(_Base): pass

@extension(name="refusing", version="1")
class Refusing(_Base):
    def validate_config(self, config): return False

@extension(name="picky", version="1")
class Picky(_Base):
    def validate_config(self, config):
        return True if config.get("apiKey") is None else f"the key {config['apiKey']} is for {config.get('region')}"

@extension(name="raising", version="1")
class Raising(_Base):
    def validate_config(self, config): return config["nothing"]

@extension(name="forgetful", version="1")
class Forgetful(_Base):
    def validate_config(self, config): pass

@extension(name="unmakeable", version="1")
class Unmakeable(_Base):
    def __init__(self, needed): pass
"""

BUILTIN = """
from providers.extension import extension
from providers.provider import Provider

@extension(name="basic", version="1")
class Basic(Provider):
    async def execute(self, request): ...
    async def execute_streaming(self, request, emitter): ...
"""


class Folder:
    """The folder that the test runs in; `gateway.yaml` is given by that name.

    The registry knows one built-in provider, `basic`. Modules in `installed/` can be imported.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, text: str) -> Path:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text).removeprefix("\n"), encoding="utf-8")
        return file

    def load(self, text: str, environ: Mapping[str, str] | None = None) -> GatewayConfig:
        self.write("gateway.yaml", text)
        return self._load("gateway.yaml", environ)

    def _load(self, name: str, environ: Mapping[str, str] | None) -> GatewayConfig:
        registry = Registry(Provider, "provider", {"basic": "triway_fake_builtin:Basic"})
        return load_config(name, environ or {}, providers=registry)

    def problems(self, text: str, environ: Mapping[str, str] | None = None) -> list[str]:
        """What is wrong, a line each, the folder's name left out."""
        self.write("gateway.yaml", text)
        return self.problems_of("gateway.yaml", environ)

    def problems_of(self, name: str, environ: Mapping[str, str] | None = None) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            self._load(name, environ)
        assert str(caught.value).splitlines() == [str(problem) for problem in caught.value.problems]
        return [str(problem).replace(f"{self.path}/", "") for problem in caught.value.problems]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    monkeypatch.chdir(tmp_path)
    folder = Folder(tmp_path.resolve())
    folder.write("ext.py", EXTENSIONS)
    folder.write("installed/triway_fake_builtin.py", BUILTIN)
    monkeypatch.syspath_prepend(str(tmp_path / "installed"))
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if name.startswith("triway_"):
            del sys.modules[name]
