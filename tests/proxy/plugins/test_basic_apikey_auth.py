"""`basic-apikey-auth`: whom it lets through, what it says of the others, and what nobody gets to see."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from typing import Any, ClassVar

import pytest

from providers.errors import GatewayError
from providers.extension import check_config
from providers.model import LLMRequest
from proxy.config import ConfigError, load_config
from proxy.plugins import PluginContext
from proxy.plugins.builtin.basic_apikey_auth import SCHEMA, BasicAPIKeyAuth
from proxy.plugins.loaded import LoadedPlugin
from proxy.plugins.pipeline import Pipeline, PipelineRun

KEYS = [
    {"id": "team-a", "key": "key-of-team-a"},
    {
        "id": "team-b",
        "sha256": hashlib.sha256(b"key-of-team-b").hexdigest(),
        "userId": "bob",
        "models": ["gpt-", "/^o[0-9]$/"],
        "metadata": {"tier": "gold"},
    },
]


CANARY = hashlib.sha256(b"canary-1").hexdigest()


async def passed(headers: dict[bytes, bytes], query: str = "", model: str = "gpt-4", **config: Any) -> PluginContext:
    """The context behind the plugin. Raises what it refuses the request with."""
    filled, problems = check_config(SCHEMA, {"keys": KEYS, **config})
    assert not problems
    plugin = BasicAPIKeyAuth()
    assert plugin.validate_config(filled) is True
    await plugin.configure(filled)
    context = PluginContext(request=LLMRequest(model=model), headers=headers, query=query)
    await PipelineRun(Pipeline([LoadedPlugin("auth", plugin)]), context).before_model()
    return context


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({b"authorization": b"Bearer key-of-team-a"}, ""),
        ({b"authorization": b"bearer  key-of-team-a "}, ""),
        ({b"x-api-key": b"key-of-team-a"}, ""),
        ({b"api-key": b"key-of-team-a"}, ""),
        ({b"x-goog-api-key": b"key-of-team-a"}, ""),
        ({}, "alt=sse&key=key-of-team-a"),
        ({b"authorization": b"Basic abc", b"x-api-key": b"key-of-team-a"}, ""),
    ],
)
async def test_each_sdk_s_place_for_a_key_is_looked_at(headers: dict[bytes, bytes], query: str) -> None:
    context = await passed(headers, query)
    assert context.key_id == "team-a"
    assert context.user_id is None


async def test_a_key_may_be_known_by_its_hash_stand_for_a_user_and_bring_metadata() -> None:
    context = await passed({b"x-api-key": b"key-of-team-b"})
    assert (context.key_id, context.user_id, context.metadata) == ("team-b", "bob", {"tier": "gold"})
    assert (await passed({b"x-api-key": b"key-of-team-b"}, model="o3")).key_id == "team-b"


@pytest.mark.parametrize(
    ("headers", "model", "status", "words"),
    [
        ({}, "gpt-4", 401, "no API key"),
        ({b"authorization": b"Bearer "}, "gpt-4", 401, "no API key"),
        ({b"authorization": b"Bearer key-of-team-"}, "gpt-4", 401, "not known"),
        ({b"authorization": b"Bearer key-of-team-aa"}, "gpt-4", 401, "not known"),
        ({b"x-api-key": hashlib.sha256(b"key-of-team-b").hexdigest().encode()}, "gpt-4", 401, "not known"),
        ({b"x-api-key": b"\xff\xfe"}, "gpt-4", 401, "not known"),
        ({b"x-api-key": b"key-of-team-b"}, "claude", 403, "may not use the model 'claude'"),
    ],
)
async def test_everybody_else_is_refused(headers: dict[bytes, bytes], model: str, status: int, words: str) -> None:
    with pytest.raises(GatewayError, match=words) as caught:
        await passed(headers, model=model)
    assert caught.value.status == status
    assert "key-of-team" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["team-c: key-of-team-c\n", "- {id: team-c, key: key-of-team-c}\n", '[{"id": "team-c", "key": "key-of-team-c"}]'],
    ids=["mapping", "list", "JSON"],
)
async def test_keys_from_a_file_are_let_through_beside_the_others(tmp_path: Path, text: str) -> None:
    file = tmp_path / "keys.yaml"
    file.write_text(text)
    context = await passed({b"x-api-key": b"key-of-team-c"}, keysFile=str(file))
    assert context.key_id == "team-c"
    assert (await passed({b"x-api-key": b"key-of-team-a"}, keysFile=str(file))).key_id == "team-a"


@pytest.mark.parametrize(
    ("config", "file", "words"),
    [
        ("{}", "", "without any key nobody gets through"),
        ("{keys: [{id: a}]}", "", "key 'a': give either 'key' or 'sha256'"),
        ("{keys: [{id: a, key: canary-1, sha256: '" + "0" * 64 + "'}]}", "", "give either 'key' or 'sha256'"),
        ("{keys: [{id: a, key: canary-1}, {id: a, key: canary-2}]}", "", "the id 'a' is given twice"),
        ("{keys: [{id: a, key: canary}]}", "", "config.keys[0].key"),
        ("{keys: [{id: a, key: canary-1, models: ['/(/']}]}", "", "no regular expression"),
        ("{keysFile: nowhere.yaml}", "", "keysFile: {folder}/nowhere.yaml cannot be read: No such file"),
        ("{keysFile: keys.yaml}", "a: [canary-1", "keysFile: {folder}/keys.yaml is no YAML, line"),
        ("{keysFile: keys.yaml}", "- {id: a, kay: canary-1}", "kay"),
        ("{keysFile: keys.yaml}", "5", "keysFile: {folder}/keys.yaml: expected a list of keys, or a mapping"),
        ("{keysFile: keys.yaml}", "a: canary-1\nb: canary-", "keysFile: {folder}/keys.yaml: entry 2.key: "),
        ("{keysFile: keys.yaml}", "canary-1: a", "keysFile: {folder}/keys.yaml: entry 1.key: "),
        ("{keysFile: keys.yaml}", "a: 12345678", "entry 1.key: expected string"),
        ("{keysFile: keys.yaml}", "[{id: a, key: canary-1}, canary-2]", "entry 2: expected object"),
        ("{keysFile: keys.yaml}", "[{key: canary-1}]", "entry 1.id: "),
        ("{keysFile: keys.yaml}", "[{id: a, sha256: canary-1}]", "entry 1.sha256: expected 64 lower-case hexadecimal"),
        ("{keysFile: keys.yaml}", "[{id: a, key: canary-1, models: []}]", "entry 1.models: "),
        ("{keysFile: keys.yaml}", "- canary-1: a", "entry 1.?: unknown key"),
        ("{keysFile: keys.yaml}", "[{id: a}]", "key 'a': give either 'key' or 'sha256'"),
        ("{keys: [{id: a, key: canary-1}, {id: b, key: canary-1}]}", "", "keys[0] and keys[1] are the same key"),
        (
            "{keysFile: keys.yaml}",
            "canary-1: production\ncanary-2: production",
            "entry 1 of {folder}/keys.yaml and entry 2",
        ),
        (
            "{keys: [{id: a, key: canary-1}], keysFile: keys.yaml}",
            "b: canary-1",
            "keys[0] and entry 1 of {folder}/keys.yaml are the",
        ),
        (
            f"{{keys: [{{id: a, key: canary-1}}, {{id: b, sha256: {CANARY}}}]}}",
            "",
            "keys[0] and keys[1] are the same key under different ids",
        ),
    ],
)
def test_what_is_wrong_is_told_without_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: str, file: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "keys.yaml").write_text(file)
    (tmp_path / "gateway.yaml").write_text(
        "models: [{name: a, type: replay, config: {api: openai-chat}}]\n"
        f"plugins:\n  - {{name: basic-apikey-auth, config: {config}}}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_config("gateway.yaml")
    assert "gateway.yaml:3:" in str(caught.value)
    assert words.format(folder=tmp_path) in str(caught.value) if "{" in words else words in str(caught.value)
    assert "canary-" not in str(caught.value)


async def test_the_file_of_keys_is_found_beside_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the gateway is started."""
    there, elsewhere = tmp_path / "there", tmp_path / "elsewhere"
    there.mkdir()
    elsewhere.mkdir()
    (there / "keys.yaml").write_text("team-c: key-of-team-c\n")
    (there / "gateway.yaml").write_text(
        "models: [{name: a, type: replay, config: {api: openai-chat}}]\n"
        "plugins: [{name: basic-apikey-auth, config: {keysFile: keys.yaml}}]\n"
    )
    monkeypatch.chdir(elsewhere)
    (entry,) = load_config("../there/gateway.yaml").projects[0].plugins
    monkeypatch.chdir("/")
    plugin = BasicAPIKeyAuth()
    await plugin.configure(entry.config)
    assert len(plugin._known) == 1


async def test_what_is_compared_tells_nothing_of_a_key_by_its_time() -> None:
    """A shown key is never held against a known one: what is looked up is its digest under a secret of the process, so
    that how far two of them agree depends on nothing that a client can choose."""

    class Watched(dict[bytes, Any]):
        asked: ClassVar[list[bytes]] = []

        def get(self, key: bytes, default: Any = None) -> Any:
            self.asked.append(key)
            return super().get(key, default)

    filled, _ = check_config(SCHEMA, {"keys": KEYS})
    plugins = [BasicAPIKeyAuth(), BasicAPIKeyAuth()]
    for plugin in plugins:
        await plugin.configure(filled)
        plugin._known = Watched(plugin._known)
    shown = ["key-of-team-a", "key-of-team-b", "key-of-team-", "key-of-team-aa", "", "x" * 5000]
    for plugin in plugins:
        for key in filter(None, shown):
            context = PluginContext(request=LLMRequest(model="gpt-4"), headers={b"x-api-key": key.encode()})
            context.credentials = context.all_credentials()
            result = await plugin.before_model(context)
            assert result is not None
            assert result.success == (key in shown[:2])
            digest = hashlib.sha256(key.encode()).digest()
            assert Watched.asked.pop() == hmac.digest(plugin._secret, digest, "sha256")
            assert Watched.asked == [], "each key is looked up once, a wrong one like a right one"
    one, other = (set(plugin._known) for plugin in plugins)
    assert len(one) == len(other) == 2
    assert not one & other, "each process has its own secret"
    assert all(len(plugin._secret) == 32 for plugin in plugins)
