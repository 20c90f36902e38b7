"""Every way to get `gateway.yaml` wrong, and the exact words for it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

MODELS = "models: [{name: a, type: basic}]\n"
HEAD = "availableExtensions: [{path: ext.py}]\nmodels:\n"
"""Two lines; the models begin on line 3."""

KNOWN = "basic, echo, forgetful, picky, raising, refusing, strict, unmakeable"

ROWS: dict[str, tuple[str, list[str]]] = {
    # -- YAML itself
    "empty file": ("", ["gateway.yaml: the file holds no configuration"]),
    "only comments": ("# nothing\n\n# yet\n", ["gateway.yaml: the file holds no configuration"]),
    "empty document": ("---\n", ["gateway.yaml:2:1: expected object, got null"]),
    "root is a list": ("- a\n- b\n", ["gateway.yaml:1:1: expected object, got array"]),
    "root is a text": ("hello\n", ["gateway.yaml:1:1: expected object, got string"]),
    "tab as indentation": (
        "server:\n\tport: 1\n",
        ["gateway.yaml:2:1: a tab where YAML expects spaces"],
    ),
    "bracket not closed": (
        "models: [a, b\nserver: {}\n",
        ["gateway.yaml:2:7: expected ',' or ']', but got ':' (while parsing a flow sequence)"],
    ),
    "wrong indentation": (
        "server:\n  port: 1\n host: a\n",
        ["gateway.yaml:3:2: expected <block end>, but found '<block mapping start>' (while parsing a block mapping)"],
    ),
    "quote not closed": (
        'server:\n  host: "abc\n',
        ["gateway.yaml:3:1: found unexpected end of stream (while scanning a quoted scalar)"],
    ),
    "two documents": (MODELS + "---\n" + MODELS, ["gateway.yaml:2:1: a second document starts here; expected one"]),
    "alias without anchor": (MODELS + "server: *secret-looking\n", ["gateway.yaml:2:9: found undefined alias"]),
    "control character": (
        "models:\n  - \x01\n",
        ["gateway.yaml:2:5: a character that YAML does not allow (U+0001)"],
    ),
    "nested too deeply": ("[" * 5000, ["gateway.yaml: values are nested too deeply"]),
    "alias bomb": (
        "a: &a [" + "x," * 99 + "x]\nb: &b [" + "*a," * 99 + "*a]\nc: &c [" + "*b," * 99 + "*b]\n",
        ["gateway.yaml: more than 100000 values once all aliases are followed"],
    ),
    "alias inside of itself": (
        "models: &m\n  - *m\n",
        ["gateway.yaml:1: models[0]: an alias inside of what it refers to"],
    ),
    "merge of a mapping into itself": (
        MODELS + "server: &s {port: 1, <<: *s}\n",
        ["gateway.yaml:2: server: a merge of a mapping into itself"],
    ),
    "merge of a text": (
        MODELS + "server:\n  port: 1\n  <<: abc\n",
        ["gateway.yaml:4: server.<<: expected a mapping, or a list of mappings, to merge"],
    ),
    "two merges": (
        MODELS + "server:\n  <<: {port: 1}\n  <<: {host: b}\n",
        ["gateway.yaml:4: server.<<: duplicate key, first on line 3; merge a list: <<: [*a, *b]"],
    ),
    "duplicate key": (
        MODELS + "server:\n  port: 1\n  host: a\n  port: 2\n",
        ["gateway.yaml:5: server.port: duplicate key, first on line 3"],
    ),
    "duplicate top-level key": (MODELS + MODELS, ["gateway.yaml:2: models: duplicate key, first on line 1"]),
    "duplicate key in flow style": (
        MODELS + "server: {port: 1,\n port: 2}\n",
        ["gateway.yaml:3: server.port: duplicate key, first on line 2"],
    ),
    "integer as key": (
        MODELS + "server:\n  8080: 1\n",
        ["gateway.yaml:3: server: keys must be strings, got int 8080; put it in quotes"],
    ),
    "boolean as key": (
        MODELS + "server: {true: 1}\n",
        ["gateway.yaml:2: server: keys must be strings, got bool true; put it in quotes"],
    ),
    "list as key": (MODELS + "? [a]\n: 1\n", ["gateway.yaml:2:3: keys must be strings, got seq"]),
    "unknown tag": (
        MODELS + "server:\n  host: !sk-mistyped abc\n  port: !!python/name:os.system x\n",
        ["gateway.yaml:3: server.host: unknown tag", "gateway.yaml:4: server.port: unknown tag"],
    ),
    "unknown tag on a mapping": (MODELS + "server: !x {}\n", ["gateway.yaml:2: server: unknown tag"]),
    "explicit type that does not fit": (
        MODELS + "server: {port: !!int abc}\n",
        ["gateway.yaml:2: server.port: not a proper int"],
    ),
    "number too large": (
        MODELS + "server: {port: 1e999}\n",
        ["gateway.yaml:2: server.port: a number too large for a float"],
    ),
    # -- environment
    "variable not set": (
        HEAD + "  - name: a\n    type: echo\n    config:\n      apiKey: ${NOT_SET}\n",
        ["gateway.yaml:6: models[0].config.apiKey: environment variable NOT_SET is not set"],
    ),
    "two variables not set in one text": (
        MODELS + 'server:\n  host: "${A_B}.${C}.${A_B}"\n',
        [
            "gateway.yaml:3: server.host: environment variable A_B is not set",
            "gateway.yaml:3: server.host: environment variable C is not set",
        ],
    ),
    "variable not set where an integer belongs": (
        MODELS + "server:\n  port: ${P}\n",
        ["gateway.yaml:3: server.port: environment variable P is not set"],
    ),
    "broken reference": (
        MODELS + "server:\n  host: my${secret-thing\n",
        ["gateway.yaml:3: server.host: '${' starts no ${VAR} or ${VAR:-default}; write '$$' for a plain '$'"],
    ),
    "reference inside of a reference": (
        MODELS + "server:\n  host: ${A:-${PORT}}\n",
        ["gateway.yaml:3: server.host: '${' starts no ${VAR} or ${VAR:-default}; write '$$' for a plain '$'"],
    ),
    "plain reference in flow style": (
        MODELS + "server: {port: ${PORT}}\n",
        ["gateway.yaml:2:17: a ${VAR} inside [...] or {...} must stand in quotes"],
    ),
    "variable of the wrong type": (
        MODELS + "server:\n  port: ${WORD}\n",
        ["gateway.yaml:3: server.port: expected integer, got string from ${WORD}"],
    ),
    "quoted variable where an integer belongs": (
        MODELS + 'server:\n  port: "${PORT}"\n',
        ["gateway.yaml:3: server.port: expected integer, got string from ${PORT}"],
    ),
    "number from a variable where a string belongs": (
        MODELS + "server:\n  host: ${PORT}\n",
        ["gateway.yaml:3: server.host: expected string, got integer from ${PORT}; in quotes it is a string"],
    ),
    # -- server, logging, metrics
    "unknown key at the top": (MODELS + "sever: {}\n", ["gateway.yaml:2: sever: unknown key; did you mean 'server'?"]),
    "unknown key, nothing near": (
        MODELS + "xyz: {}\n",
        [
            "gateway.yaml:2: xyz: unknown key; expected one of adapters, availableExtensions, defaultProject, "
            "logging, metrics, models, pipeline, plugins, projects, server",
        ],
    ),
    "unknown key in server": (
        MODELS + "server:\n  write_timeout: 5\n",
        ["gateway.yaml:3: server.write_timeout: unknown key; did you mean 'writeTimeout'?"],
    ),
    "unknown key in tls": (
        MODELS + "server:\n  tls:\n    certFile: ext.py\n    keyFile: ext.py\n    certfle: a\n",
        ["gateway.yaml:6: server.tls.certfle: unknown key; did you mean 'certFile'?"],
    ),
    "unknown key in logging": (
        MODELS + "logging: {levl: info}\n",
        ["gateway.yaml:2: logging.levl: unknown key; did you mean 'level'?"],
    ),
    "unknown key in metrics": (
        MODELS + "metrics: {on: true}\n",
        ["gateway.yaml:2: metrics.on: unknown key; expected one of enabled"],
    ),
    "text for a number": (
        MODELS + "server: {port: http}\n",
        ["gateway.yaml:2: server.port: expected integer, got string 'http'"],
    ),
    "float for an integer": (
        MODELS + "server: {port: 8080.0}\n",
        ["gateway.yaml:2: server.port: expected integer, got number 8080.0"],
    ),
    "boolean for an integer": (
        MODELS + "server: {workers: true}\n",
        ["gateway.yaml:2: server.workers: expected integer, got boolean True"],
    ),
    "YAML 1.1 boolean": (
        MODELS + "server: {http2: yes}\n",
        ["gateway.yaml:2: server.http2: expected boolean, got string 'yes'"],
    ),
    "section left empty": (MODELS + "server:\n", ["gateway.yaml:2: server: expected object, got null"]),
    "port too large": (
        MODELS + "server: {port: 70000}\n",
        ["gateway.yaml:2: server.port: expected at most 65535, got integer 70000"],
    ),
    "timeout of zero": (
        MODELS + "server:\n  writeTimeout: 0\n  gracefulTimeout: -1\n",
        [
            "gateway.yaml:3: server.writeTimeout: expected at least 1, got integer 0",
            "gateway.yaml:4: server.gracefulTimeout: expected at least 0, got integer -1",
        ],
    ),
    "a condition that is no list, under an unknown name": (
        MODELS + "plugins: [{name: guard, conditions: {model: true}}]\n",
        ["gateway.yaml:2: plugins[0].conditions.model: unknown key; did you mean 'models'?"],
    ),
    "switched off under a wrong name": (
        MODELS + "projects:\n  - name: research\n    models: [{name: em, enabled: false}]\n",
        ["gateway.yaml:4: projects[0].models[0].name: there is no model 'em' to switch off; there are 'a'"],
    ),
    "a plugin that is switched off under a wrong name": (
        MODELS + "plugins: [{name: limits, type: rate-limit, config: {limits: [{name: a, requests: 1, per: day}]}}]\n"
        "projects:\n  - name: research\n    plugins: [{name: rate-limit, enabled: false}]\n",
        [
            "gateway.yaml:5: projects[0].plugins[0].name: there is no plugin 'rate-limit' to switch off; there are"
            " 'limits'"
        ],
    ),
    "empty host": (MODELS + "server: {host: ''}\n", ["gateway.yaml:2: server.host: must not be empty"]),
    "header name with a space": (
        MODELS + "server: {requestIdHeader: request id}\n",
        ["gateway.yaml:2: server.requestIdHeader: expected the name of a header, got string 'request id'"],
    ),
    "tls without a key": (
        MODELS + "server:\n  tls:\n    certFile: ext.py\n",
        ["gateway.yaml:3: server.tls.keyFile: required key is missing"],
    ),
    "tls file that is not there": (
        MODELS + "server:\n  tls:\n    certFile: ext.py\n    keyFile: keys/a.pem\n",
        ["gateway.yaml:5: server.tls.keyFile: no such file: keys/a.pem"],
    ),
    "tls files that hold something else": (
        MODELS + "server:\n  tls:\n    certFile: ext.py\n    keyFile: ext.py\n",
        ["gateway.yaml:4: server.tls.certFile: cannot be used; expected PEM files, the key without a password"],
    ),
    "unknown log level": (
        MODELS + "logging: {level: warn}\n",
        [
            "gateway.yaml:2: logging.level: expected one of 'debug', 'info', 'warning', 'error', got string 'warn'"
            "; did you mean 'warning'?",
        ],
    ),
    # -- extensions
    "extensions are no list": (
        MODELS + "availableExtensions: {path: ext.py}\n",
        ["gateway.yaml:2: availableExtensions: expected array, got object"],
    ),
    "extension that is a text": (
        MODELS + "availableExtensions:\n  - ext.py\n",
        ["gateway.yaml:3: availableExtensions[0]: expected object, got string 'ext.py'"],
    ),
    "extension by path and module": (
        MODELS + "availableExtensions:\n  - path: ext.py\n    module: ext\n",
        ["gateway.yaml:3: availableExtensions[0]: give either 'path' or 'module', not both"],
    ),
    "extension by neither": (
        MODELS + "availableExtensions:\n  - name: echo\n",
        ["gateway.yaml:3: availableExtensions[0]: give 'path' or 'module'"],
    ),
    "unknown key in an extension": (
        MODELS + "availableExtensions:\n  - path: ext.py\n    paths: b\n",
        ["gateway.yaml:4: availableExtensions[0].paths: unknown key; did you mean 'path'?"],
    ),
    "extension file that is not there": (
        MODELS + "availableExtensions:\n  - path: nowhere/ext.py\n",
        ["gateway.yaml:3: availableExtensions[0].path: cannot be loaded: nowhere/ext.py does not exist"],
    ),
    "extension that is a folder": (
        MODELS + "availableExtensions:\n  - path: lib\n",
        [
            "gateway.yaml:3: availableExtensions[0].path: cannot be loaded: "
            "lib is a folder; name a .py file, or a package with 'module:'",
        ],
    ),
    "extension file with a syntax error": (
        MODELS + "availableExtensions:\n  - path: syntax.py\n",
        ["gateway.yaml:3: availableExtensions[0].path: cannot be loaded: syntax.py:2: SyntaxError: invalid syntax"],
    ),
    "extension file that raises": (
        MODELS + "availableExtensions:\n  - path: raises.py\n",
        [
            "gateway.yaml:3: availableExtensions[0].path: cannot be loaded: "
            "raises.py:4: ZeroDivisionError: division by zero",
        ],
    ),
    "extension file without an extension": (
        MODELS + "availableExtensions:\n  - path: plain.py\n",
        [
            "gateway.yaml:3: availableExtensions[0].path: cannot be loaded: "
            "plain.py: no class with @extension(...) is defined in it or named in its __all__",
        ],
    ),
    "extension that is no provider": (
        MODELS + "availableExtensions:\n  - path: stranger.py\n",
        [
            "gateway.yaml:3: availableExtensions[0].path: cannot be loaded: stranger.py: "
            "class Stranger is declared with @extension but does not extend providers.provider:Provider "
            "or proxy.plugins.base:Plugin or proxy.apis.base:ClientAPI",
        ],
    ),
    "extension that is abstract": (
        MODELS + "availableExtensions:\n  - path: half.py\n",
        ["gateway.yaml:3: availableExtensions[0].path: Half in half.py is abstract: it does not define execute"],
    ),
    "extension with a built-in name": (
        MODELS + "availableExtensions:\n  - path: takeover.py\n",
        [
            "gateway.yaml:3: availableExtensions[0].path: provider 'basic' of Mine in takeover.py "
            "is already defined by triway_fake_builtin:Basic",
        ],
    ),
    "extension by a name it has not": (
        HEAD.replace("ext.py", "takeover.py, name: basc") + "  - {name: a, type: basic}\n",
        ["gateway.yaml:1: availableExtensions[0].name: no extension 'basc' there; found: basic"],
    ),
    "extension by names it has not": (
        MODELS + "availableExtensions:\n  - path: half.py\n    name:\n      - whole\n",
        ["gateway.yaml:5: availableExtensions[0].name[0]: no extension 'whole' there; found: half"],
    ),
    "module that is not installed": (
        MODELS + "availableExtensions:\n  - module: acme_triway.fast\n",
        [
            "gateway.yaml:3: availableExtensions[0].module: cannot be loaded: "
            "no module named 'acme_triway' is installed",
        ],
    ),
    # -- models
    "no models": ("server: {}\n", ["gateway.yaml:1: models: required key is missing"]),
    "empty models": ("models: []\n", ["gateway.yaml:1: models: must not be empty"]),
    "models are no list": ("models: {a: b}\n", ["gateway.yaml:1: models: expected array, got object"]),
    "model that is a text": ("models:\n  - gpt\n", ["gateway.yaml:2: models[0]: expected object, got string 'gpt'"]),
    "model without a name": ("models:\n  - type: basic\n", ["gateway.yaml:2: models[0].name: required key is missing"]),
    "model with an empty name": (
        "models:\n  - {name: '', type: basic}\n",
        ["gateway.yaml:2: models[0].name: must not be empty"],
    ),
    "model named by a number": (
        "models:\n  - {name: 4.1, type: basic}\n",
        ["gateway.yaml:2: models[0].name: expected string, got number 4.1"],
    ),
    "two stars": (
        "models:\n  - {name: 'a*b*', type: basic}\n",
        ["gateway.yaml:2: models[0].name: expected a name with at most one '*', got string 'a*b*'"],
    ),
    "duplicate names": (
        "models:\n  - {name: a, type: basic}\n  - {name: b, type: basic}\n  - {name: a, type: basic}\n",
        ["gateway.yaml:4: models[2].name: duplicate model name 'a', first on line 2"],
    ),
    "two defaults": (
        "models:\n  - name: a\n    type: basic\n    isDefault: true\n"
        "  - name: b\n    type: basic\n    isDefault: true\n",
        ["gateway.yaml:7: models[1].isDefault: only one model may be the default; models[0] is (line 4)"],
    ),
    "neither type nor provider": (
        "models:\n  - name: a\n",
        ["gateway.yaml:2: models[0]: give 'type' (with 'config') or 'provider'"],
    ),
    "both type and provider": (
        "models:\n  - name: a\n    type: basic\n    provider: {type: basic}\n",
        ["gateway.yaml:2: models[0]: give either 'provider' or 'type', not both"],
    ),
    "config beside provider": (
        "models:\n  - name: a\n    config: {}\n    provider: {type: basic}\n",
        ["gateway.yaml:2: models[0]: give either 'provider' or 'config', not both"],
    ),
    "provider without a type": (
        "models:\n  - name: a\n    provider: {config: {}}\n",
        ["gateway.yaml:3: models[0].provider.type: required key is missing"],
    ),
    "provider that is a text": (
        "models:\n  - name: a\n    provider: basic\n",
        ["gateway.yaml:3: models[0].provider: expected object, got string 'basic'"],
    ),
    "unknown key in a model": (
        "models:\n  - name: a\n    type: basic\n    default: true\n",
        ["gateway.yaml:4: models[0].default: unknown key; did you mean 'isDefault'?"],
    ),
    "unknown key in provider": (
        "models:\n  - name: a\n    provider: {type: basic, conf: {}}\n",
        ["gateway.yaml:3: models[0].provider.conf: unknown key; did you mean 'config'?"],
    ),
    "unknown onDisconnect": (
        "models:\n  - {name: a, type: basic, onDisconnect: stop}\n",
        ["gateway.yaml:2: models[0].onDisconnect: expected one of 'cancel', 'drain', got string 'stop'"],
    ),
    "unknown provider type": (
        HEAD + "  - {name: a, type: ecko}\n",
        [f"gateway.yaml:3: models[0].type: unknown provider type 'ecko'; did you mean 'echo'? known types: {KNOWN}"],
    ),
    "unknown provider type, nothing near": (
        HEAD + "  - name: a\n    provider:\n      type: zzz\n",
        [f"gateway.yaml:5: models[0].provider.type: unknown provider type 'zzz'; known types: {KNOWN}"],
    ),
    "provider type of an extension that failed": (
        "availableExtensions: [{path: plain.py}]\nmodels:\n  - {name: a, type: plain}\n",
        [
            "gateway.yaml:1: availableExtensions[0].path: cannot be loaded: "
            "plain.py: no class with @extension(...) is defined in it or named in its __all__",
            "gateway.yaml:3: models[0].type: unknown provider type 'plain'; known types: basic "
            "(an extension could not be loaded)",
        ],
    ),
    # -- a provider's own configuration
    "config that is a list": (
        HEAD + "  - name: a\n    type: echo\n    config: [1]\n",
        ["gateway.yaml:5: models[0].config: expected object, got array"],
    ),
    "unknown key in the config": (
        HEAD + "  - name: a\n    type: echo\n    config:\n      timout: 1\n",
        ["gateway.yaml:6: models[0].config.timout: unknown key; did you mean 'timeout'?"],
    ),
    "wrong type in the config": (
        HEAD + "  - name: a\n    provider:\n      type: echo\n      config:\n        timeout: abc\n",
        ["gateway.yaml:7: models[0].provider.config.timeout: expected integer, got string 'abc'"],
    ),
    "too small in the config": (
        HEAD + "  - name: a\n    type: echo\n    config: {timeout: 0}\n",
        ["gateway.yaml:5: models[0].config.timeout: expected at least 1, got integer 0"],
    ),
    "not one of in the config": (
        HEAD + "  - name: a\n    type: echo\n    config: {mode: quick}\n",
        ["gateway.yaml:5: models[0].config.mode: expected one of 'fast', 'slow', got string 'quick'"],
    ),
    "deep in the config": (
        HEAD + "  - name: a\n    type: echo\n    config:\n      tags:\n        - x\n        - 3\n",
        ["gateway.yaml:8: models[0].config.tags[1]: expected string, got integer 3"],
    ),
    "key with odd characters": (
        HEAD + "  - name: a\n    type: echo\n    config:\n      time out: 3\n",
        ["gateway.yaml:6: models[0].config[\"time out\"]: unknown key; did you mean 'timeout'?"],
    ),
    "required keys missing in the config": (
        HEAD + "  - name: a\n    type: strict\n    config:\n      other: 1\n",
        [
            "gateway.yaml:5: models[0].config.apiKey: required key is missing",
            "gateway.yaml:5: models[0].config.region: required key is missing",
        ],
    ),
    "required keys missing, no config": (
        HEAD + "  - name: z\n    type: echo\n  - name: a\n    type: strict\n",
        [
            "gateway.yaml:5: models[1].config.apiKey: required key is missing",
            "gateway.yaml:5: models[1].config.region: required key is missing",
        ],
    ),
    "validate_config says no": (
        HEAD + "  - name: a\n    type: refusing\n    config: {}\n",
        ["gateway.yaml:5: models[0].config: refused by the provider 'refusing'"],
    ),
    "validate_config is not asked about a value that could not be had": (
        HEAD + "  - name: a\n    type: refusing\n    config: {list: ['${NOT_SET}']}\n",
        ["gateway.yaml:5: models[0].config.list[0]: environment variable NOT_SET is not set"],
    ),
    "validate_config says why": (
        HEAD + "  - name: a\n    type: picky\n    config:\n      region: north\n      apiKey: sk-abcdefgh\n",
        ["gateway.yaml:5: models[0].config: the key *** is for north"],
    ),
    "validate_config raises": (
        HEAD + "  - name: a\n    type: raising\n",
        ["gateway.yaml:3: models[0].config: provider 'raising' failed in validate_config: KeyError: 'nothing'"],
    ),
    "validate_config says nothing": (
        HEAD + "  - name: a\n    type: forgetful\n",
        [
            "gateway.yaml:3: models[0].config: "
            "validate_config of provider 'forgetful' returned NoneType; expected True, False or a sentence",
        ],
    ),
    "provider that wants arguments": (
        HEAD + "  - name: a\n    type: unmakeable\n",
        [
            "gateway.yaml:3: models[0].config: provider 'unmakeable' cannot be constructed: TypeError: "
            "Unmakeable.__init__() missing 1 required positional argument: 'needed'",
        ],
    ),
}

HALF = """
from providers.extension import extension
from providers.provider import Provider
@extension(name="{name}", version="1")
class {cls}(Provider):
    {first}
    async def execute_streaming(self, request, emitter): ...
"""


@pytest.fixture
def broken(folder: Any) -> Any:
    folder.write("syntax.py", "x = 1\ndef broken(:\n")
    folder.write("raises.py", "def f():\n    return 1\n\nf() / 0\n")
    folder.write("plain.py", "from triway_fake_builtin import Basic\nx = 1\n")
    folder.write(
        "stranger.py",
        "from providers.extension import Extension, extension\n"
        "@extension(name='stranger', version='1')\nclass Stranger(Extension): pass\n",
    )
    folder.write("half.py", HALF.format(name="half", cls="Half", first=""))
    folder.write("takeover.py", HALF.format(name="basic", cls="Mine", first="async def execute(self, request): ..."))
    (folder.path / "lib").mkdir()
    return folder


@pytest.mark.parametrize(("text", "expected"), ROWS.values(), ids=ROWS.keys())
def test_says_what_is_wrong(broken: Any, text: str, expected: list[str]) -> None:
    assert broken.problems(text, {"PORT": "8080", "WORD": "hunter2"}) == expected


def test_file_that_is_not_there(folder: Any) -> None:
    assert folder.problems_of("other.yaml") == ["other.yaml: no such file"]


def test_folder_instead_of_a_file(folder: Any) -> None:
    (folder.path / "conf").mkdir()
    assert folder.problems_of("conf") == ["conf: is a folder, expected a YAML file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_that_may_not_be_read(folder: Any) -> None:
    folder.write("gateway.yaml", MODELS).chmod(0)
    assert folder.problems_of("gateway.yaml") == ["gateway.yaml: cannot be read: Permission denied"]


def test_file_that_is_not_utf8(folder: Any) -> None:
    Path("gateway.yaml").write_bytes("models:\n  - name: caf\u00e9\n".encode("latin-1"))
    assert folder.problems_of("gateway.yaml") == ["gateway.yaml:2: not UTF-8 text (byte 0xe9)"]
