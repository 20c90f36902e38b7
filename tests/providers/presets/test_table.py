"""Each row of the presets: a provider type that works by its name, checked as any other."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest

from providers.builtin.openai_compatible import QUIRKS, CompatibleProvider
from providers.extension import check_config
from providers.presets import PRESETS, Preset
from providers.registry import provider_registry
from providers.wire.openai_chat.dialect import Dialect
from proxy.config import ConfigError, load_config

every_preset = pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)

ACCOUNT_URL = "https://account.example/v1"


def _load(folder: Path, environ: dict[str, str], **entry: object) -> object:
    path = folder / "gateway.yaml"
    path.write_text(json.dumps({"models": [{"name": "m", **entry}]}))
    return load_config(path, environ).models[0].config


@every_preset
def test_a_row_says_where_it_is_from(preset: Preset) -> None:
    assert urlsplit(preset.docs).scheme == "https"
    assert preset.title
    assert (preset.base_url is None) == bool(preset.base_url_form)
    assert preset.key_variable is not None or not preset.key_required


def test_names_are_unique() -> None:
    assert len({preset.name for preset in PRESETS}) == len(PRESETS)


@every_preset
def test_the_name_is_a_provider_type_with_the_row(preset: Preset) -> None:
    cls = provider_registry().get(preset.name)
    assert issubclass(cls, CompatibleProvider)
    assert cls.preset is preset
    assert cls.metadata.preset_of == "openai-compatible"


@every_preset
def test_the_type_alone_is_enough(preset: Preset, tmp_path: Path) -> None:
    entry = {"config": {"baseUrl": ACCOUNT_URL}} if preset.base_url is None else {}
    environ = {preset.key_variable: "sk-env"} if preset.key_variable and preset.key_required else {}
    config = _load(tmp_path, environ, type=preset.name, **entry)
    assert isinstance(config, dict)
    assert config["baseUrl"] == preset.base_url or config["baseUrl"] == ACCOUNT_URL
    assert config.get("apiKey") == ("sk-env" if environ else None)


@every_preset
def test_what_is_missing_is_told_with_its_variable(preset: Preset, tmp_path: Path) -> None:
    wanted = [key for key, needed in (("apiKey", preset.key_required), ("baseUrl", preset.base_url is None)) if needed]
    if not wanted:
        assert _load(tmp_path, {}, type=preset.name)
        return
    with pytest.raises(ConfigError) as told:
        _load(tmp_path, {}, type=preset.name)
    for key in wanted:
        assert f"models[0].config.{key}: required key is missing" in str(told.value)
    if preset.key_required:
        assert str(preset.key_variable) in str(told.value)


def test_the_files_own_key_wins_over_the_variable(tmp_path: Path) -> None:
    config = _load(tmp_path, {"GROQ_API_KEY": "sk-env"}, type="groq", config={"apiKey": "sk-file"})
    assert isinstance(config, dict)
    assert config["apiKey"] == "sk-file"


def test_the_configuration_has_a_key_for_every_quirk() -> None:
    assert set(QUIRKS) == {field.encode_name for field in msgspec.structs.fields(Dialect)}


def test_the_file_changes_a_row(tmp_path: Path) -> None:
    quirks = {"maxTokens": "max_completion_tokens", "refuses": ["top_p"], "reasoningReturned": None}
    config = _load(tmp_path, {"DEEPSEEK_API_KEY": "k"}, type="deepseek", config={"quirks": quirks})
    assert isinstance(config, dict)
    assert config["quirks"] == quirks


async def test_a_row_that_was_changed_keeps_the_rest() -> None:
    cls = provider_registry().get("deepseek")
    quirks = {"maxTokens": "max_completion_tokens", "refuses": ["top_p"], "reasoningReturned": None}
    filled, problems = check_config(cls.metadata.configuration_schema, {"apiKey": "k", "quirks": quirks})
    assert problems == []
    provider = cls()
    assert isinstance(provider, CompatibleProvider)
    await provider.configure(filled)
    row = cls.dialect  # type: ignore[attr-defined]
    assert provider.dialect == msgspec.structs.replace(
        row, max_tokens="max_completion_tokens", refuses=frozenset({"top_p"}), reasoning_returned=None
    )
    assert provider.dialect.developer_role == "system"
    await provider.aclose()


def test_a_misspelt_quirk_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"quirks\.refusess: unknown key; did you mean 'refuses'"):
        _load(tmp_path, {"GROQ_API_KEY": "k"}, type="groq", config={"quirks": {"refusess": []}})


@every_preset
def test_it_speaks_responses_where_the_row_says_so(preset: Preset, tmp_path: Path) -> None:
    cls = provider_registry().get(preset.name)
    chosen: dict[str, object] = {"apiKey": "k", "baseUrl": ACCOUNT_URL, "api": "responses"}
    if "responses" in preset.endpoints:
        assert set(cls.variants) == {"openai-responses"}
        assert _load(tmp_path, {}, type=preset.name, config=chosen)
    else:
        assert not cls.variants
        with pytest.raises(ConfigError, match="api: unknown key"):
            _load(tmp_path, {}, type=preset.name, config=chosen)
