"""The JSON Schema of `gateway.yaml`: the one place that says which keys there are and what they mean.

Defaults come from the types in `settings.py`. What a schema cannot say (unique names, one default, either `type` or
`provider`, the provider's own configuration) is checked in `loading.py`.
"""

from __future__ import annotations

import msgspec

from providers.extension import Schema
from proxy.apis.allowed_paths import RULE
from proxy.config.settings import (
    LoggingConfig,
    MetricsConfig,
    ModelEntry,
    PipelineConfig,
    PluginEntry,
    ServerConfig,
    TLSConfig,
)
from proxy.plugins.base import PHASES


def _text(description: str, **more: object) -> Schema:
    return {"type": "string", "minLength": 1, "description": description, **more}


def _choice(description: str, *values: str) -> Schema:
    return {"enum": list(values), "description": description}


def _flag(description: str) -> Schema:
    return {"type": "boolean", "description": description}


def _integer(description: str, minimum: int, **more: object) -> Schema:
    return {"type": "integer", "minimum": minimum, "description": description, **more}


def _ms(description: str, minimum: int = 1) -> Schema:
    return _integer(f"{description} In ms.", minimum)


def _object(
    description: str, properties: dict[str, Schema], *, defaults: type[msgspec.Struct] | None = None, required: str = ""
) -> Schema:
    """An object without other keys. Defaults are those of the Struct's fields of the same names, in camelCase."""
    values = {}
    if defaults is not None:
        for field in msgspec.structs.fields(defaults):
            default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
            values[_camel(field.name)] = default
    merged = {
        name: {**schema, "default": values[name]}
        if not isinstance(values.get(name), msgspec.Struct | None) and values[name] is not msgspec.NODEFAULT
        else schema
        for name, schema in properties.items()
    }
    return {
        "type": "object",
        "description": description,
        "properties": merged,
        "required": required.split(),
        "additionalProperties": False,
    }


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.title() for word in others)


_TLS = _object(
    "Serve HTTPS.",
    {
        "certFile": _text("The certificate with its chain, PEM. Relative to the configuration file."),
        "keyFile": _text("The certificate's private key, PEM. Relative to the configuration file."),
        "caFile": _text("Ask clients for a certificate that one of these CAs (PEM) signed."),
    },
    defaults=TLSConfig,
    required="certFile keyFile",
)

_SERVER = _object(
    "How the gateway listens, and its limits.",
    {
        "host": _text("The address to listen on. `0.0.0.0` or `::` for all."),
        "port": _integer("The port to listen on; 0 for any free one.", 0, maximum=65535),
        "workers": _integer("Processes that share the port.", 1, maximum=1024),
        "tls": _TLS,
        "http2": _flag("Offer HTTP/2 beside HTTP/1.1."),
        "writeTimeout": _ms("A client that takes nothing for this long is cut off."),
        "gracefulTimeout": _ms("How long running requests may go on after SIGTERM.", 0),
        "drainDelay": _ms("Wait after SIGTERM, with `/ready` at 503, before the port closes.", 0),
        "keepAliveTimeout": _ms("An idle connection is closed after this long."),
        "headerTimeout": _ms("A request's head must have arrived by then."),
        "bodyTimeout": _ms("A request's body must have arrived by then."),
        "maxHeaderBytes": _integer("The largest head of a request.", 256),
        "maxBodyBytes": _integer("The largest body of a request.", 1),
        "maxConcurrentRequests": _integer("Requests at once in a worker; more are answered with 503.", 1),
        "requestTimeout": _ms("The longest that any request may take, whatever its model's config says."),
        "requestIdHeader": _text(
            "The header that carries a request's id, in and out. Upper and lower case are the same.",
            pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
            errorMessage="the name of a header",
        ),
    },
    defaults=ServerConfig,
)

_EXTENSION = _object(
    "Where extensions come from: exactly one of `path` and `module`.",
    {
        "path": _text("A `.py` file, relative to the configuration file. Files beside it: `from . import helper`."),
        "module": _text("An installed module or package, by its import name."),
        "name": {
            "type": ["string", "array"],
            "items": {"type": "string"},
            "minLength": 1,
            "minItems": 1,
            "description": "Take only the extension, or the list of extensions, with this name.",
        },
    },
)

_ENABLED: Schema = {**_flag("false: as if the entry were not there."), "default": True}

_PROVIDER_TYPE = _text("The provider's type: a built-in one or one of `availableExtensions`.")
_PROVIDER_CONFIG: Schema = {
    "type": "object",
    "description": "The provider's own configuration, checked against its schema.",
}

MODEL: Schema = _object(
    "A model that clients can ask for, and the provider that serves it.",
    {
        "name": _text(
            "The name that clients ask for. May hold one `*`, which stands for at least one character; "
            "an exact name wins over a pattern, a longer pattern over a shorter.",
            pattern=r"^[^*]*\*?[^*]*$",
            errorMessage="a name with at most one '*'",
        ),
        "type": _PROVIDER_TYPE,
        "config": _PROVIDER_CONFIG,
        "provider": _object(
            "`type` and `config` in one object, instead of beside the name.",
            {"type": _PROVIDER_TYPE, "config": _PROVIDER_CONFIG},
            required="type",
        ),
        "enabled": _ENABLED,
        "isDefault": _flag("Serves the names that nothing else matches. One model at most."),
        "description": {"type": "string", "description": "For people."},
        "metadata": {"type": "object", "description": "For people and plugins; the gateway does not look at it."},
        "onDisconnect": _choice(
            "What becomes of the upstream call when the client goes away: `cancel` closes it at once, "
            "`drain` reads on for the usage.",
            "cancel",
            "drain",
        ),
        "drainTimeout": _ms("How long `drain` reads on at most."),
        "dropUnsupported": _flag(
            "Leave out what the provider's API cannot honour, even if the answer's meaning changes, instead of a 400."
        ),
        "passthrough": _object(
            "Lets clients use the provider's own API at `/passthrough/NAME/...`, with this model's credentials.",
            {
                "paths": {
                    "type": "array",
                    "minItems": 1,
                    "uniqueItems": True,
                    "description": "What is let through: `[METHOD ]PATH`, any method if none is given. `*` is one "
                    "segment of a path, `**` at its end one or more: `GET /files/*`, `/batches/**`.",
                    "items": {
                        "type": "string",
                        "pattern": RULE,
                        "errorMessage": "'/files/*' or 'GET /files/*', without query and percent signs",
                    },
                }
            },
            required="paths",
        ),
    },
    defaults=ModelEntry,
    required="name",
)

_PATTERNS = "Prefixes, or regular expressions (RE2's) between slashes: `/^gpt-4.*-mini$/`; any may match."


def _patterns(description: str) -> Schema:
    return {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1, "description": description}


_TIMEOUTS = {_camel(phase): _integer(f"For `{phase}`. In ms.", 1) for phase in PHASES}

PLUGIN: Schema = _object(
    "A plugin that requests and answers pass.",
    {
        "name": _text("The entry's name, in logs, metrics and for projects that inherit it."),
        "type": _text("The plugin's type: a built-in one or one of `availableExtensions`. Default: the name."),
        "enabled": _ENABLED,
        "priority": _integer("Lower ones come first on the way to the model, and last on the way back.", -1_000_000),
        "conditions": _object(
            "When it takes part in a request. All that are given must hold.",
            {
                "paths": _patterns(f"The request's path, without the project's prefix. {_PATTERNS}"),
                "methods": _patterns("The request's method, in full."),
                "headers": {
                    "type": "object",
                    "additionalProperties": {"type": "string"},
                    "minProperties": 1,
                    "description": 'Headers by name, each with a pattern for its value (`""`: any).',
                },
                "userIds": _patterns("Who asks, as the request or an authentication plugin says. As for `paths`."),
                "models": _patterns(
                    "The model's name, as the client or a plugin before gave it; where that plugin chose several "
                    "(fallbacks ...), any of them. As for `paths`."
                ),
            },
        ),
        "onError": _choice(
            "What its failure (it raises, takes too long, returns nonsense) means: the request goes on (`open`) or "
            "fails (`closed`). Default: the plugin's own; those that guard say `closed`.",
            "open",
            "closed",
        ),
        "timeout": {
            "type": ["integer", "object"],
            "minimum": 1,
            "properties": _TIMEOUTS,
            "required": [],
            "additionalProperties": False,
            "description": "How long one call may take; one figure, or one for each phase. Default 10000, for "
            "`detachedAfterResponse` 30000. In ms.",
        },
        "config": {"type": "object", "description": "The plugin's own configuration, checked against its schema."},
    },
    defaults=PluginEntry,
    required="name",
)

ADAPTER: Schema = _object(
    "A client API.",
    {
        "name": _text("The API's type name: `openai-chat`, `anthropic-messages` or one of `availableExtensions`."),
        "enabled": _flag("Whether it is served. Those that are not named are."),
        "config": {"type": "object", "description": "The API's own configuration, checked against its schema."},
    },
    required="name",
)


def _partial(schema: Schema) -> Schema:
    """For an entry that may be laid over another one: only the name is required, and no default hides what is below."""
    inner = {
        name: {key: value for key, value in sub.items() if key != "default"}
        for name, sub in schema["properties"].items()
    }
    return {**schema, "properties": inner, "required": ["name"]}


def _entries(schema: Schema, description: str) -> Schema:
    return {"type": "array", "items": schema, "description": description}


_PROJECT: Schema = _object(
    "A set of models, plugins and client APIs of its own, below `/NAME/`.",
    {
        "name": _text(
            "The first segment of its paths.",
            pattern=r"^[a-z0-9][a-z0-9_-]*$",
            errorMessage="lower-case letters, digits, '-' and '_'",
        ),
        "description": {"type": "string", "description": "For people."},
        "models": _entries(_partial(MODEL), "Laid over the top level's, by name."),
        "plugins": _entries(_partial(PLUGIN), "Laid over the top level's, by name."),
        "adapters": _entries(_partial(ADAPTER), "Laid over the top level's, by name."),
    },
    required="name",
)

SCHEMA: Schema = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "gateway.yaml",
    **_object(
        "Triway's configuration.",
        {
            "server": {**_SERVER, "default": {}},
            "availableExtensions": {
                "type": "array",
                "items": _EXTENSION,
                "default": [],
                "description": "Code of your own: providers, plugins and client APIs beside the built-in ones.",
            },
            "models": {
                "type": "array",
                "items": MODEL,
                "minItems": 1,
                "description": "What the gateway serves.",
            },
            "plugins": {
                **_entries(PLUGIN, "What requests and answers pass on their way."),
                "default": [],
            },
            "pipeline": {
                **_object(
                    "The plugins' common limits.",
                    {
                        "maxRetries": _integer("How often plugins may have the model asked again, for a request.", 0),
                        "maxHeldBytes": _integer("How much of a stream one plugin may hold back.", 1024),
                        "detachedQueue": _integer(
                            "Finished requests that may wait for detached work; more drop it.", 1
                        ),
                        "detachedConcurrency": _integer("How many of them are worked on at once, in a worker.", 1),
                        "detachedDrain": _ms("How long a stop waits for detached work.", 0),
                    },
                    defaults=PipelineConfig,
                ),
                "default": {},
            },
            "adapters": {
                **_entries(ADAPTER, "The APIs that clients may speak. Default: all that there are."),
                "default": [],
            },
            "defaultProject": _text(
                "The project that is served without a prefix. Default: the top level alone, under the name `default`.",
                pattern=r"^[a-z0-9][a-z0-9_-]*$",
                errorMessage="a project's name",
            ),
            "projects": {
                **_entries(_PROJECT, "Projects beside the default one. Each inherits what the top level says."),
                "default": [],
            },
            "logging": {
                **_object(
                    "What the gateway writes about itself.",
                    {
                        "level": _choice(
                            "The least severe level that is written.", "debug", "info", "warning", "error"
                        ),
                        "format": _choice(
                            "`auto`: `console` on a terminal, else `json`.",
                            "json",
                            "console",
                            "auto",
                        ),
                        "output": _choice("Where to.", "stdout", "stderr"),
                    },
                    defaults=LoggingConfig,
                ),
                "default": {},
            },
            "metrics": {
                **_object(
                    "Prometheus metrics.",
                    {"enabled": _flag("Serve `/metrics`.")},
                    defaults=MetricsConfig,
                ),
                "default": {},
            },
        },
        required="models",
    ),
}
"""Draft 2020-12. `errorMessage` says in words what a `pattern` expects (`providers.extension.check_config`)."""
