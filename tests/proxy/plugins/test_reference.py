"""docs/bundled-plugins.md: its tables are what the code says, and its examples are right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from proxy.config import load_config
from proxy.plugins import BUILTIN_PLUGINS
from proxy.plugins.reference import with_reference

DOC = Path(__file__).parents[3] / "docs" / "bundled-plugins.md"
TEXT = DOC.read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
MODELS = "models:\n" + "".join(
    f"  - {{name: {name}, type: replay, config: {{api: openai-chat}}}}\n" for name in ("gpt", "claude", "local")
)


def test_the_document_is_current() -> None:
    assert with_reference(TEXT) == TEXT, "run: python -m proxy.plugins docs/bundled-plugins.md"


def test_every_plugin_has_an_example() -> None:
    assert len(EXAMPLES) == len(BUILTIN_PLUGINS)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_are_taken(example: str, tmp_path: Path) -> None:
    keys = tmp_path / "keys.yaml"
    keys.write_text("team-c: key-of-team-c\n")
    example = example.replace("/etc/triway/keys.yaml", str(keys)).replace("4f1c...", "0" * 64)
    file = tmp_path / "gateway.yaml"
    file.write_text(MODELS + example)
    load_config(file, {"TEAM_A_KEY": "key-of-team-a", "REDIS_PASSWORD": "x"})
