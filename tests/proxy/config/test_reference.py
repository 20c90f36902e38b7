from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from proxy.config import (
    SCHEMA,
    LoggingConfig,
    MetricsConfig,
    ModelEntry,
    PipelineConfig,
    ServerConfig,
    TLSConfig,
    reference_markdown,
)
from proxy.config.reference import with_reference

DOC = Path(__file__).parents[3] / "docs" / "configuration.md"
PROPERTIES = SCHEMA["properties"]


def test_the_document_is_current() -> None:
    text = DOC.read_text(encoding="utf-8")
    assert text == with_reference(text), "run: python -m proxy.config docs/configuration.md"


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def schemas_in(schema: dict[str, Any]) -> list[dict[str, Any]]:
    inner = [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]
    return [schema, *(found for sub in inner for found in schemas_in(sub))]


def test_every_key_is_described_and_in_the_reference() -> None:
    reference = reference_markdown()
    for schema in schemas_in(SCHEMA):
        for name, sub in schema.get("properties", {}).items():
            assert sub["description"], name
            assert sub["description"].replace("|", "\\|") in reference
            assert f"{name}`" in reference


@pytest.mark.parametrize(
    ("struct", "schema", "more"),
    [
        (ServerConfig, PROPERTIES["server"], set()),
        (TLSConfig, PROPERTIES["server"]["properties"]["tls"], set()),
        (LoggingConfig, PROPERTIES["logging"], set()),
        (MetricsConfig, PROPERTIES["metrics"], set()),
        (PipelineConfig, PROPERTIES["pipeline"], set()),
        (ModelEntry, PROPERTIES["models"]["items"], {"provider", "enabled"}),
    ],
)
def test_the_types_and_the_schema_have_the_same_keys(
    struct: type[msgspec.Struct], schema: dict[str, Any], more: set[str]
) -> None:
    fields = {first + "".join(map(str.title, rest)) for first, *rest in map(_words, struct.__struct_fields__)}
    assert fields - {"providerClass"} == set(schema["properties"]) - more


def _words(name: str) -> list[str]:
    return name.split("_")


def test_markers_must_be_there() -> None:
    with pytest.raises(ValueError, match="markers"):
        with_reference("# no markers\n")
