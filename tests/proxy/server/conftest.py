from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme


@dataclass
class Certificates:
    certfile: str
    keyfile: str
    ca_file: str
    authority: trustme.CA

    def client(self, *alpn: str) -> ssl.SSLContext:
        """A client's context that trusts the server's certificate and offers these protocols."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """A server certificate for 127.0.0.1, in files, and the authority that signed it."""
    folder: Path = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    paths = [folder / name for name in ("server.pem", "server.key", "ca.pem")]
    certificate.cert_chain_pems[0].write_to_path(paths[0])
    certificate.private_key_pem.write_to_path(paths[1])
    authority.cert_pem.write_to_path(paths[2])
    return Certificates(str(paths[0]), str(paths[1]), str(paths[2]), authority)
