"""`${VAR}` in texts. Imports nothing of the project."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

# A default holds no '}' and no '${': a reference in a reference is refused rather than half understood.
_REFERENCE = re.compile(
    r"\$\$ | \$\{ (?P<name>[A-Za-z_][A-Za-z0-9_]*) (?: :- (?P<default>(?:[^}$] | \$(?!\{))*) )? \} | (?P<broken>\$\{)",
    re.VERBOSE,
)


class Substitution(msgspec.Struct, frozen=True, kw_only=True):
    """A text with its references replaced."""

    text: str
    variables: tuple[str, ...]
    """The variables whose values stand in the text (not those whose default does)."""
    missing: tuple[str, ...]
    """Variables that are not set and have no default; the empty string stands for them."""
    broken: bool
    """Some `${` starts no proper reference."""
    whole: bool
    """The text was one reference and nothing else."""


def substitute(text: str, environ: Mapping[str, str]) -> Substitution:
    """Replace `${VAR}`, `${VAR:-default}` (if VAR is unset or empty) and `$$` (a plain `$`). Other `$` stay."""
    variables: list[str] = []
    missing: list[str] = []
    broken = False

    def value_of(match: re.Match[str]) -> str:
        nonlocal broken
        if match["broken"]:
            broken = True
            return match[0]
        name = match["name"]
        if name is None:
            return "$"
        value = environ.get(name)
        default = match["default"]
        if default is not None and not value:
            return default.replace("$$", "$")
        if value is None:
            missing.append(name)
            return ""
        variables.append(name)
        return value

    first = _REFERENCE.match(text)
    replaced = _REFERENCE.sub(value_of, text)
    return Substitution(
        text=replaced,
        variables=tuple(dict.fromkeys(variables)),
        missing=tuple(dict.fromkeys(missing)),
        broken=broken,
        whole=first is not None and first["name"] is not None and first.end() == len(text),
    )
