"""`basic-apikey-auth`: only who shows a key that the gateway knows gets through. Imports the SDK.

Clients send the key as their SDK sends one: `Authorization: Bearer`, `x-api-key`, `api-key`, `x-goog-api-key`, `?key=`.
It is never forwarded: providers are called with the keys of `gateway.yaml`. Keys are looked up by their HMAC under a
secret that this process made up: how long that takes tells nothing of how much of a key was right, and it takes no
longer for many keys than for one.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import trio
import yaml

from providers.errors import ErrorKind, GatewayError
from providers.extension import Config, Schema, check_config, extension
from proxy.plugins.base import Plugin
from proxy.plugins.conditions import Matcher, compile_pattern
from proxy.plugins.context import PluginContext
from proxy.plugins.result import ContextUpdate, PluginResult

_HEADERS = ("x-api-key", "api-key", "x-goog-api-key", "?key")
"""Where a key may stand beside `authorization`, in the order in which they are looked at."""

_WORD = re.compile(r"[A-Za-z0-9]{1,7}|metadata")
"""What may be shown of a file that is mixed up: no key is as short."""
MAX_FILE_BYTES = 16 * 1024 * 1024


class KeySettings(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One key, by itself or by its SHA-256."""

    id: str
    key: str | None = None
    sha256: str | None = None
    user_id: str | None = None
    models: tuple[str, ...] = ()
    metadata: dict[str, Any] = {}


_KEY_PROPERTIES = {
    "id": {
        "type": "string",
        "minLength": 1,
        "description": "The key's name: in logs, metrics, and for rate limits. Never secret.",
    },
    "key": {"type": "string", "minLength": 8, "description": "The key itself: `${TEAM_A_KEY}`."},
    "sha256": {
        "type": "string",
        "pattern": "^[0-9a-f]{64}$",
        "errorMessage": "64 lower-case hexadecimal digits",
        "description": "Instead of `key`: its SHA-256, so that the file holds no secret.",
    },
    "userId": {
        "type": "string",
        "minLength": 1,
        "description": "Who the key stands for. Default: what the request says of its user.",
    },
    "models": {
        "type": "array",
        "items": {"type": "string", "minLength": 1},
        "minItems": 1,
        "description": "The models that the key may ask for: prefixes, or regular expressions between slashes. "
        "Default: all.",
    },
    "metadata": {"type": "object", "description": "For other plugins; laid into the request's metadata."},
}

_KEYS: Schema = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": _KEY_PROPERTIES,
        "required": ["id"],
        "additionalProperties": False,
    },
    "default": [],
    "description": "The keys that are let through.",
}
_KEYS_SCHEMA: Schema = {"type": "object", "properties": {"keys": _KEYS}}

SCHEMA: Schema = {
    "type": "object",
    "properties": {
        "keys": _KEYS,
        "keysFile": {
            "type": "string",
            "minLength": 1,
            "format": "path",
            "description": "A YAML or JSON file with more of them: a list like `keys`, or a mapping of id to key. Read "
            "at start and on reload. Relative to the configuration file.",
        },
    },
    "additionalProperties": False,
}


class _Known(msgspec.Struct, frozen=True):
    settings: KeySettings
    may_ask: tuple[Matcher, ...]


@extension(
    name="basic-apikey-auth",
    version="1.0.0",
    description="Lets through only who shows a known key",
    configuration_schema=SCHEMA,
)
class BasicAPIKeyAuth(Plugin):
    on_error = "closed"
    sees_credentials = True

    def __init__(self) -> None:
        self._secret = os.urandom(32)
        self._known: dict[bytes, _Known] = {}

    def validate_config(self, config: Config) -> bool | str:
        try:
            keys = _keys_of(config)
            for key in keys:
                _matchers(key)
        except ValueError as error:
            return str(error)
        if not keys:
            return "give 'keys' or 'keysFile': without any key nobody gets through"
        ids: set[str] = set()
        first: dict[bytes, int] = {}
        for number, key in enumerate(keys):
            if key.id in ids:
                return f"the id {key.id!r} is given twice"
            ids.add(key.id)
            same = first.setdefault(_digest(key), number)
            if same != number:
                return f"{_place(config, same)} and {_place(config, number)} are the same key under different ids"
        return True

    async def configure(self, config: Config) -> None:
        self._known = {}
        # A file may be large, or on a slow disk: that holds a thread up, never the loop.
        for key in await trio.to_thread.run_sync(_keys_of, config):
            self._known[self._keyed(_digest(key))] = _Known(msgspec.structs.replace(key, key=None), _matchers(key))

    def outlives_reload(self, config: Config) -> bool:
        """Not with a file of keys: a reload is what has it read again."""
        return "keysFile" not in config

    async def before_model(self, context: PluginContext) -> PluginResult | None:
        shown = _shown_key(context.credentials)
        if shown is None:
            return _refused("no API key: send it as 'Authorization: Bearer KEY' or as 'x-api-key'")
        known = self._known.get(self._keyed(_sha256(shown)))
        if known is None:
            return _refused("the API key is not known to this gateway")
        settings = known.settings
        model = context.target_model or context.request.model
        asks_model = context.operation != "list_models"
        if asks_model and known.may_ask and not any(matches(model) for matches in known.may_ask):
            return PluginResult(
                success=False,
                error=GatewayError(
                    f"this API key may not use the model '{model[:200]}'",
                    kind=ErrorKind.PERMISSION,
                    status=403,
                    param="model",
                ),
            )
        update = ContextUpdate(key_id=settings.id, metadata=dict(settings.metadata))
        if settings.user_id is not None:
            update.user_id = settings.user_id
        return PluginResult(context=update)

    def _keyed(self, digest: bytes) -> bytes:
        return hmac.digest(self._secret, digest, "sha256")


def _shown_key(credentials: Mapping[str, str]) -> str | None:
    scheme, _, token = credentials.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return next((credentials[name] for name in _HEADERS if credentials.get(name)), None)


def _refused(message: str) -> PluginResult:
    return PluginResult(
        success=False,
        error=GatewayError(message, kind=ErrorKind.AUTHENTICATION, status=401, code="invalid_api_key"),
        context=ContextUpdate(response_headers={"www-authenticate": "Bearer"}),
    )


def _sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def _digest(key: KeySettings) -> bytes:
    return bytes.fromhex(key.sha256) if key.sha256 is not None else _sha256(key.key or "")


def _matchers(key: KeySettings) -> tuple[Matcher, ...]:
    """Raises ValueError for a pattern that cannot be used."""
    return tuple(map(compile_pattern, key.models))


def _keys_of(config: Config) -> list[KeySettings]:
    """Every key of the configuration and its file. Raises ValueError, whose text holds no key."""
    keys = msgspec.convert(config.get("keys", []), list[KeySettings])
    if "keysFile" in config:
        keys += _keys_in(Path(config["keysFile"]))
    for key in keys:
        if (key.key is None) == (key.sha256 is None):
            raise ValueError(f"key {key.id!r}: give either 'key' or 'sha256'")
    return keys


def _place(config: Config, number: int) -> str:
    """Where the key of this number stands."""
    own = len(config.get("keys", []))
    return f"keys[{number}]" if number < own else f"entry {number - own + 1} of {config['keysFile']}"


def _keys_in(path: Path) -> list[KeySettings]:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ValueError(f"keysFile: {path} is larger than {MAX_FILE_BYTES} bytes")
        value = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise ValueError(f"keysFile: {path} cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        raise ValueError(f"keysFile: {path} is no YAML{where}") from None  # its words may quote a key
    if isinstance(value, dict):
        value = [{"id": name, "key": key} for name, key in value.items()]
    if not isinstance(value, list):
        raise ValueError(f"keysFile: {path}: expected a list of keys, or a mapping of id to key")
    # Entries are named by number: in a file that is mixed up, what stands in an id's place may be a key.
    filled, problems = check_config(_KEYS_SCHEMA, {"keys": value}, hidden=lambda path: True)
    for problem in problems:
        number, *rest = problem.path[1:]
        where = f"entry {int(number) + 1}" + "".join(f".{part if _WORD.fullmatch(str(part)) else '?'}" for part in rest)
        raise ValueError(f"keysFile: {path}: {where}: {problem.message}")
    return msgspec.convert(filled["keys"], list[KeySettings])
