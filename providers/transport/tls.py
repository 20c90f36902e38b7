"""TLS contexts for connections to providers. Imports nothing of the gateway."""

from __future__ import annotations

import functools
import os
import ssl
from pathlib import Path

import certifi


def client_context(ca_bundle: str | None = None, *, trust_env: bool = True) -> ssl.SSLContext:
    """A context that verifies certificate and host name and offers HTTP/1.1 by ALPN.

    Trusted are the certificates of `ca_bundle` (a PEM file, or a directory of hashed ones) if it is given; else, with
    `trust_env`, those that SSL_CERT_FILE or SSL_CERT_DIR name; else certifi's. Reading them takes some 20 ms, so equal
    settings share one context for the life of the process: do not change what this returns.

    Raises OSError (FileNotFoundError, ssl.SSLError) if the certificates cannot be read.
    """
    return _shared_context(*_trusted(ca_bundle, trust_env=trust_env))


def own_client_context(ca_bundle: str | None = None, *, trust_env: bool = True) -> ssl.SSLContext:
    """Like `client_context`, but new and without ALPN: for a library that changes the context it is given."""
    file, directory = _trusted(ca_bundle, trust_env=trust_env)
    return ssl.create_default_context(cafile=file, capath=directory)


def _trusted(ca_bundle: str | None, *, trust_env: bool) -> tuple[str | None, str | None]:
    """The file and the directory of trusted certificates."""
    file = directory = None
    if ca_bundle is not None:
        file, directory = (None, ca_bundle) if Path(ca_bundle).is_dir() else (ca_bundle, None)
    elif trust_env:
        file, directory = os.environ.get("SSL_CERT_FILE") or None, os.environ.get("SSL_CERT_DIR") or None
    if file is None and directory is None:
        file = certifi.where()
    return file, directory


@functools.lru_cache(maxsize=32)
def _shared_context(file: str | None, directory: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=file, capath=directory)
    context.set_alpn_protocols(["http/1.1"])
    return context
