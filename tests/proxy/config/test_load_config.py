"""Good files, and what holds for all bad ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import trustme

from proxy.config import ConfigError, LoggingConfig, MetricsConfig, ServerConfig, load_config

HEAD = "availableExtensions: [{path: ext.py}]\nmodels:\n"


def test_the_shortest_file_has_every_default(folder: Any) -> None:
    config = folder.load("models: [{name: gpt, type: basic}]\n")
    assert config.server == ServerConfig()
    assert config.logging == LoggingConfig()
    assert config.metrics == MetricsConfig()
    assert config.path == Path("gateway.yaml")
    (model,) = config.models
    assert (model.name, model.type, model.config) == ("gpt", "basic", {})
    assert (model.is_default, model.description, model.metadata) == (False, "", {})
    assert (model.on_disconnect, model.drain_timeout, model.drop_unsupported) == ("cancel", 30_000, False)
    assert model.provider_class.metadata.name == "basic"


def test_the_defaults_are_the_promised_ones() -> None:
    assert msgspec.to_builtins(ServerConfig()) == {
        "host": "127.0.0.1",
        "port": 8080,
        "workers": 1,
        "tls": None,
        "http2": True,
        "writeTimeout": 30000,
        "gracefulTimeout": 30000,
        "drainDelay": 0,
        "keepAliveTimeout": 75000,
        "headerTimeout": 15000,
        "bodyTimeout": 30000,
        "maxHeaderBytes": 65536,
        "maxBodyBytes": 10485760,
        "maxConcurrentRequests": 10000,
        "requestTimeout": 3600000,
        "requestIdHeader": "x-request-id",
    }


def test_every_key_arrives(folder: Any) -> None:
    issued = trustme.CA().issue_cert("localhost")
    folder.write("certs/cert.pem", issued.cert_chain_pems[0].bytes().decode())
    folder.write("certs/key.pem", issued.private_key_pem.bytes().decode())
    config = folder.load(
        """
        server:
          host: 0.0.0.0
          port: ${PORT}
          workers: 4
          tls: {certFile: certs/cert.pem, keyFile: "${KEYS}/key.pem"}
          http2: false
          writeTimeout: 1
          gracefulTimeout: 2
          drainDelay: 3
          keepAliveTimeout: 4
          headerTimeout: 5
          bodyTimeout: 6
          maxHeaderBytes: 700
          maxBodyBytes: 8
          maxConcurrentRequests: 9
          requestTimeout: 10
          requestIdHeader: X-Trace-ID
        availableExtensions:
          - path: ext.py
            name: [echo]
        models:
          - name: claude-*
            provider:
              type: echo
              config: {timeout: 7}
            isDefault: true
            description: the best
            metadata: {tier: 1, owners: [a, b]}
            onDisconnect: drain
            drainTimeout: 11
            dropUnsupported: true
        logging: {level: debug, format: json, output: stdout}
        metrics: {enabled: false}
        """,
        {"PORT": "443", "KEYS": "certs"},
    )
    assert msgspec.to_builtins(config.server) == {
        "host": "0.0.0.0",
        "port": 443,
        "workers": 4,
        "tls": {
            "certFile": str(folder.path / "certs/cert.pem"),
            "keyFile": str(folder.path / "certs/key.pem"),
            "caFile": None,
        },
        "http2": False,
        "writeTimeout": 1,
        "gracefulTimeout": 2,
        "drainDelay": 3,
        "keepAliveTimeout": 4,
        "headerTimeout": 5,
        "bodyTimeout": 6,
        "maxHeaderBytes": 700,
        "maxBodyBytes": 8,
        "maxConcurrentRequests": 9,
        "requestTimeout": 10,
        "requestIdHeader": "x-trace-id",
    }
    (model,) = config.models
    assert (model.name, model.type, model.is_default, model.description) == ("claude-*", "echo", True, "the best")
    assert model.metadata == {"tier": 1, "owners": ["a", "b"]}
    assert (model.on_disconnect, model.drain_timeout, model.drop_unsupported) == ("drain", 11, True)
    assert config.logging == LoggingConfig(level="debug", format="json", output="stdout")
    assert config.metrics == MetricsConfig(enabled=False)


def test_both_forms_mean_the_same_and_the_provider_s_defaults_are_filled_in(folder: Any) -> None:
    config = folder.load(
        HEAD + "  - {name: a, type: echo, config: {timeout: 7}}\n"
        "  - {name: b, provider: {type: echo, config: {timeout: 7}}}\n"
        "  - {name: c, provider: {type: echo}}\n"
    )
    first, second, third = config.models
    expected = {"timeout": 7, "mode": "fast", "limits": {"rate": 1.5}, "dropUnsupported": False}
    assert first.config == second.config == expected
    assert third.config == {**expected, "timeout": 5000}


def test_models_that_share_an_anchor_do_not_share_their_configuration(folder: Any) -> None:
    config = folder.load(
        HEAD + "  - {name: a, type: echo, config: &base {tags: [x]}}\n"
        "  - {name: b, type: echo, config: *base}\n"
        "  - {name: c, type: echo, config: {<<: *base, timeout: 9}}\n"
    )
    first, second, third = (model.config for model in config.models)
    first["tags"].append("y")
    assert second["tags"] == third["tags"] == ["x"]
    assert (second["timeout"], third["timeout"]) == (5000, 9)


def test_drop_unsupported_reaches_a_provider_that_has_the_key(folder: Any) -> None:
    config = folder.load(
        HEAD + "  - {name: a, type: echo, dropUnsupported: true}\n"
        "  - {name: b, type: echo, dropUnsupported: true, config: {dropUnsupported: false}}\n"
        "  - {name: c, type: basic, dropUnsupported: true}\n"
    )
    assert [model.config.get("dropUnsupported") for model in config.models] == [True, False, None]


def test_extensions_come_from_modules_too_and_only_those_named(folder: Any) -> None:
    folder.write("installed/triway_acme.py", (folder.path / "ext.py").read_text())
    config = folder.load("availableExtensions: [{module: triway_acme, name: echo}]\nmodels: [{name: a, type: echo}]\n")
    assert config.models[0].provider_class.__module__ == "triway_acme"
    (problem,) = folder.problems(
        "availableExtensions: [{module: triway_acme, name: echo}]\nmodels: [{name: a, type: strict}]\n"
    )
    assert "unknown provider type 'strict'; known types: basic, echo" in problem


def test_paths_are_relative_to_the_file_not_to_the_working_directory(folder: Any, monkeypatch: Any) -> None:
    file = folder.write("gateway.yaml", HEAD + "  - {name: a, type: echo}\n")
    monkeypatch.chdir("/")
    assert load_config(file, {}).models[0].type == "echo"


def test_the_environment_is_the_process_s_unless_given(folder: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("TRIWAY_TEST_PORT", "99")
    file = folder.write(
        "gateway.yaml",
        "server:\n  port: ${TRIWAY_TEST_PORT}\n" + HEAD + "  - {name: a, type: echo}\n",
    )
    assert load_config(file).server.port == 99


def test_validate_config_cannot_change_the_configuration(folder: Any) -> None:
    folder.write(
        "meddler.py",
        """
        from providers.extension import extension
        from providers.provider import Provider
        @extension(name="meddler", version="1")
        class Meddler(Provider):
            def validate_config(self, config):
                config["list"].append(2)
                return True
            async def execute(self, request): ...
            async def execute_streaming(self, request, emitter): ...
        """,
    )
    config = folder.load(
        "availableExtensions: [{path: meddler.py}]\nmodels: [{name: a, type: meddler, config: {list: [1]}}]\n"
    )
    assert config.models[0].config == {"list": [1]}


MANY = """\
sever: {}
server:
  port: http
  workers: 0
logging:
  level: loud
availableExtensions:
  - path: ext.py
  - path: nowhere.py
models:
  - name: a
    type: echo
    config: &base
      apiKey: ${NOT_SET}
      timeout: soon
      timout: 5
  - name: a
    type: ecko
    isDefault: true
  - name: b
    type: echo
    isDefault: true
    config:
      <<: *base
      mode: quick
      timeout: 5
  - type: refusing
    metadata: []
  - name: d
    type: refusing
    type: echo
"""


def test_everything_is_told_at_once_in_the_order_of_the_file(folder: Any) -> None:
    told = [problem.split(": ", 2) for problem in folder.problems(MANY)]
    assert [[place, path, message[:16]] for place, path, message in told] == [
        ["gateway.yaml:1", "sever", "unknown key; did"],
        ["gateway.yaml:3", "server.port", "expected integer"],
        ["gateway.yaml:4", "server.workers", "expected at leas"],
        ["gateway.yaml:6", "logging.level", "expected one of "],
        ["gateway.yaml:9", "availableExtensions[1].path", "cannot be loaded"],
        ["gateway.yaml:14", "models[0].config.apiKey", "environment vari"],
        ["gateway.yaml:15", "models[0].config.timeout", "expected integer"],
        ["gateway.yaml:16", "models[0].config.timout", "unknown key; did"],
        ["gateway.yaml:16", "models[2].config.timout", "unknown key; did"],
        ["gateway.yaml:17", "models[1].name", "duplicate model "],
        ["gateway.yaml:18", "models[1].type", "unknown provider"],
        ["gateway.yaml:22", "models[2].isDefault", "only one model m"],
        ["gateway.yaml:25", "models[2].config.mode", "expected one of "],
        ["gateway.yaml:27", "models[3].name", "required key is "],
        ["gateway.yaml:27", "models[3].config", "refused by the p"],
        ["gateway.yaml:28", "models[3].metadata", "expected object,"],
        ["gateway.yaml:29", "models[4].config", "refused by the p"],
        ["gateway.yaml:31", "models[4].type", "duplicate key, f"],
    ]


SECRET = "sk-live-0123456789"


@pytest.mark.parametrize(
    "config",
    [
        f"{{apiKey: [{SECRET}]}}",
        f"{{apiKey: {{inner: {SECRET}}}}}",
        f"{{apiKey: {SECRET}, timeout: abc}}",
        f"{{customHeaders: {{x-api: [{SECRET}]}}}}",
        '{timeout: "${SECRET}"}',
        '{mode: "${SECRET}"}',
        '{mode: "pre-${SECRET}"}',
        '{apiKey: "${SHORT}"}',
        f"{{tags: [1, 'http://user:{SECRET}@host/'], mode: 'http://user:{SECRET}@host/'}}",
        f"*{SECRET}",
        f"{{apiKey: *{SECRET}}}",
        f"{{apiKey: !{SECRET} x}}",
        f"{{apiKey: {SECRET}, apiKey: {SECRET}}}",
        f"{{apiKey: '{SECRET}${{'}}",
        f"{{apiKey: '{SECRET}",
        f"{{apiKey: @{SECRET}}}",
        f"{{apiKye: {SECRET}}}",
    ],
)
def test_no_secret_is_shown(folder: Any, config: str) -> None:
    problems = folder.problems(
        HEAD + f"  - name: a\n    type: echo\n    config: {config}\n", {"SECRET": SECRET, "SHORT": "sk-live"}
    )
    assert problems
    assert "sk-live" not in "\n".join(problems)


def test_a_provider_s_words_about_a_secret_are_blotted_out(folder: Any) -> None:
    (problem,) = folder.problems(
        HEAD + '  - {name: a, type: picky, config: {apiKey: "sk-live-1", region: "${WHERE}"}}\n', {"WHERE": "hidden"}
    )
    assert problem.endswith("the key *** is for ***")


def test_the_repr_of_the_result_shows_no_secret(folder: Any) -> None:
    config = folder.load(HEAD + f"  - {{name: a, type: echo, config: {{apiKey: {SECRET}}}}}\n")
    assert config.models[0].config["apiKey"] == SECRET
    assert SECRET not in repr(config)


def test_the_error_carries_the_facts(folder: Any) -> None:
    folder.write("gateway.yaml", HEAD + "  - {name: a, type: echo, config: {timeout: abc}}\n")
    with pytest.raises(ConfigError) as caught:
        load_config("gateway.yaml", {})
    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.column) == ("gateway.yaml", 3, 45)
    assert problem.path == ("models", 0, "config", "timeout")
    assert str(caught.value) == "gateway.yaml:3: models[0].config.timeout: expected integer, got string 'abc'"


def test_a_key_of_another_certificate(folder: Any) -> None:
    first, second = trustme.CA().issue_cert("localhost"), trustme.CA().issue_cert("localhost")
    folder.write("cert.pem", first.cert_chain_pems[0].bytes().decode())
    folder.write("key.pem", second.private_key_pem.bytes().decode())
    assert folder.problems(
        "models: [{name: a, type: basic}]\nserver: {tls: {certFile: cert.pem, keyFile: key.pem}}\n"
    ) == ["gateway.yaml:2: server.tls.certFile: the key in keyFile belongs to another certificate"]
