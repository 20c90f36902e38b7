"""Projects and plugins in `gateway.yaml`: what is inherited, what is wrong and where."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.config import GatewayConfig
from proxy.config.merging import deep_merge

PLUGINS = """
from providers.extension import extension
from proxy.plugins import Plugin

@extension(name="stamp", version="1", configuration_schema={
    "type": "object",
    "properties": {
        "text": {"type": "string", "default": "x"},
        "deep": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}},
        "secretKey": {"type": "string"},
    },
    "additionalProperties": False,
})
class Stamp(Plugin):
    def validate_config(self, config):
        return "text must not be bad" if config["text"] == "bad" else True
"""

TOP = """\
availableExtensions:
  - path: plugins.py
models:
  - {name: a, type: basic, isDefault: true, metadata: {x: 1, y: {z: 1}}}
  - {name: off, type: basic, enabled: false}
plugins:
  - name: stamp
    priority: 5
    conditions: {models: [gpt, "/^o/"]}
    config:
      text: top
      deep: {a: 1, b: 1}
"""


@pytest.fixture
def stamped(folder: Any) -> Any:
    folder.write("plugins.py", PLUGINS)
    return folder


def project(config: GatewayConfig, name: str) -> Any:
    return next(project for project in config.projects if project.name == name)


def test_without_projects_the_top_level_is_the_default_one(stamped: Any) -> None:
    config = stamped.load(TOP)
    assert [found.name for found in config.projects] == ["default"]
    assert [model.name for model in config.models] == ["a"]
    plugin = config.default_project.plugins[0]
    assert (plugin.name, plugin.type, plugin.priority) == ("stamp", "stamp", 5)
    assert plugin.conditions.models == ("gpt", "/^o/")


def test_entries_are_laid_over_the_inherited_ones_by_name(stamped: Any) -> None:
    config = stamped.load(
        TOP
        + """\
projects:
  - name: blue
    models:
      - {name: a, metadata: {y: {w: 2}}}
      - {name: "off", enabled: true}
      - {name: own, type: basic, isDefault: true}
    plugins:
      - {name: stamp, priority: 9, config: {deep: {b: 2}}}
      - {name: second, type: stamp, timeout: {afterChunk: 50}, onError: closed}
  - name: none
    plugins: [{name: stamp, enabled: false}]
"""
    )
    blue = project(config, "blue")
    assert [(model.name, model.is_default) for model in blue.models] == [("a", False), ("off", False), ("own", True)]
    assert blue.models[0].metadata == {"x": 1, "y": {"z": 1, "w": 2}}
    assert [(plugin.name, plugin.priority) for plugin in blue.plugins] == [("stamp", 9), ("second", 100)]
    assert blue.plugins[0].config == {"text": "top", "deep": {"a": 1, "b": 2}}
    assert blue.plugins[0].conditions.models == ("gpt", "/^o/")
    assert blue.plugins[1].timeouts == {"after_chunk": 0.05}
    assert blue.plugins[1].on_error == "closed"
    assert project(config, "none").plugins == ()
    assert [model.name for model in project(config, "none").models] == ["a"]
    assert config.models[0].is_default


def test_another_type_inherits_no_config(stamped: Any) -> None:
    stamped.write("ext2.py", PLUGINS.replace("stamp", "other"))
    config = stamped.load(
        TOP.replace("plugins.py", "plugins.py\n  - path: ext2.py")
        + "projects: [{name: blue, plugins: [{name: stamp, type: other}]}]\n"
    )
    assert project(config, "blue").plugins[0].config == {"text": "x"}


@pytest.mark.parametrize(
    ("more", "problems"),
    [
        ("defaultProject: x\nprojects: [{name: y}]", ["13: defaultProject: no project 'x'; there are 'y'"]),
        ("projects:\n  - name: v1", ["14: projects[0].name: 'v1' is taken: paths of the gateway begin with /v1"]),
        ("projects:\n  - name: Blue", ["14: projects[0].name: expected lower-case letters, digits, '-' and '_', got "]),
        (
            "projects:\n  - name: blue\n  - name: blue",
            ["15: projects[1].name: duplicate project name 'blue', first on line 14"],
        ),
        (
            "projects:\n  - name: blue\n    models:\n      - {name: new}",
            ["16: projects[0].models[0]: give 'type' (with 'config') or 'provider'"],
        ),
        (
            "projects:\n  - name: blue\n    plugins:\n      - name: stamp\n        config: {text: bad}",
            ["17: projects[0].plugins[0].config: text must not be bad"],
        ),
        (
            "projects:\n  - name: blue\n    plugins:\n      - name: stamp\n        config: {deep: {a: x}}",
            ["17: projects[0].plugins[0].config.deep.a: expected integer, got string 'x'"],
        ),
        (
            "projects:\n  - name: blue\n    plugins: [{name: stmp}]",
            ["15: projects[0].plugins[0].name: unknown plugin type 'stmp'; did you mean 'stamp'?"],
        ),
        (
            "projects:\n  - name: blue\n    plugins:\n      - {name: stamp, conditions: {models: ['/(/']}}",
            ["16: projects[0].plugins[0].conditions.models[0]: '/(/' is no regular expression of RE2's"],
        ),
        (
            "projects:\n  - name: blue\n    adapters: [{name: openai-caht}]",
            ["15: projects[0].adapters[0].name: unknown client API type 'openai-caht'; did you mean 'openai-chat'?"],
        ),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(stamped: Any, more: str, problems: list[str]) -> None:
    found = stamped.problems(TOP + more)
    assert len(found) == len(problems)
    for line, expected in zip(found, problems, strict=True):
        assert line.startswith(f"gateway.yaml:{expected}"), line


def test_what_is_wrong_with_an_inherited_entry_is_told_once_and_at_the_top_level(stamped: Any) -> None:
    text = TOP.replace("text: top", "txt: top") + "projects: [{name: blue}, {name: red}]\n"
    assert stamped.problems(text) == ["gateway.yaml:11: plugins[0].config.txt: unknown key; did you mean 'text'?"]


def test_merging_changes_neither_side() -> None:
    base, own = {"a": {"b": 1}, "l": [1]}, {"a": {"c": 2}, "l": [2]}
    assert deep_merge(base, own) == {"a": {"b": 1, "c": 2}, "l": [2]}
    assert (base, own) == ({"a": {"b": 1}, "l": [1]}, {"a": {"c": 2}, "l": [2]})


def test_a_project_that_speaks_no_api_is_refused(stamped: Any) -> None:
    from proxy.apis import api_names, api_registry

    off = ", ".join(f"{{name: {name}, enabled: false}}" for name in api_names(api_registry()))
    found = stamped.problems(TOP + f"projects:\n  - name: blue\n    adapters: [{off}]\n")
    assert found == ["gateway.yaml:15: projects[0].adapters: no client API is left that is enabled"]
