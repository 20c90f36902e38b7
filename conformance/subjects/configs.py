"""How a provider of any type is pointed at the replay server: from its schema, so a new one needs no entry here."""

from __future__ import annotations

from collections.abc import Mapping

from providers.extension import Config, check_config
from providers.provider import Provider

PATIENT = {"timeout": 60_000, "connectTimeout": 5_000, "firstTokenTimeout": 20_000, "idleTimeout": 20_000}
IMPATIENT = {"timeout": 400, "connectTimeout": 300, "firstTokenTimeout": 150, "idleTimeout": 150}
"""ms. For providers that fall silent; `timeout` is above the others, so that it ends only what they do not."""

_WANTED: Config = {"apiKey": "sk-conformance", "retryAttempts": 1, "retryDelay": 1}


class SubjectError(Exception):
    """A subject cannot be tested; the message says why and what to do."""


def complete_config(
    cls: type[Provider], url: str, given: Mapping[str, object] = {}, *, impatient: bool = False
) -> Config:
    """A configuration that sends `cls` to `url`: `given`, and what the suite wants for each key that the schema has.

    Raises `SubjectError` if the schema refuses it.
    """
    schema = cls.metadata.configuration_schema
    known = schema.get("properties", {})
    wanted = {**_WANTED, **(IMPATIENT if impatient else PATIENT), "baseUrl": url}
    config = {key: value for key, value in wanted.items() if key in known} | dict(given)
    filled, problems = check_config(schema, config)
    told = [f"{'.'.join(map(str, problem.path))}: {problem.message}" for problem in problems]
    if not problems:
        verdict = cls().validate_config(filled)
        told = [] if verdict is True else [str(verdict)]
    if told:
        if any("is not installed" in one for one in told):
            # The provider names its own extra; the suite's has all that the suite needs, the SDKs as well.
            raise SubjectError(
                f"provider '{cls.metadata.name}' cannot be tested: what it needs is not installed: "
                "pip install 'triway[conformance]' (or choose others with --subject)"
            )
        raise SubjectError(
            f"provider '{cls.metadata.name}' cannot be pointed at the replay server: {'; '.join(told)} "
            "(give it a `config`, in conformance/subjects/builtin.py for a built-in one)"
        )
    return filled
