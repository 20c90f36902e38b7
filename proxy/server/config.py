"""Hypercorn's configuration, made from ours. Picklable: it is what a spawned worker gets."""

from __future__ import annotations

import logging
import socket
import ssl
import sys

from hypercorn.config import Config, Sockets

from proxy.server.connections import Connections
from proxy.server.errors import StartupError
from proxy.server.settings import ServerSettings


class ServerConfig(Config):
    """Hypercorn's `Config` that carries our settings to the places where Hypercorn hands it on."""

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.shares_ports = False
        """Sockets are bound so that others may be bound to the same address (SO_REUSEPORT)."""
        self.connections = Connections()
        self.bind = list(settings.bind)
        self.insecure_bind = list(settings.insecure_bind)
        self.certfile = settings.certfile
        self.keyfile = settings.keyfile
        self.ca_certs = settings.ca_certs
        self.verify_mode = ssl.CERT_REQUIRED if settings.ca_certs is not None else None
        self.alpn_protocols = ["h2", "http/1.1"] if settings.http2 else ["http/1.1"]
        self.backlog = settings.backlog
        self.workers = settings.workers
        self.worker_class = "trio"
        self.keep_alive_timeout = settings.keep_alive_timeout
        self.keep_alive_max_requests = settings.keep_alive_max_requests or sys.maxsize
        self.h11_max_incomplete_size = settings.max_head_bytes
        self.h2_max_header_list_size = settings.max_head_bytes
        self.startup_timeout = settings.startup_timeout
        self.shutdown_timeout = settings.shutdown_timeout
        self.include_server_header = False
        # Ours ends before: this is for what it might have missed.
        self.graceful_timeout = settings.graceful_timeout + settings.end_timeout + 5
        self.errorlog = logging.getLogger("hypercorn.error")  # as the process has set up its logging, not on its own

    def listen(self) -> Sockets:
        """Bind and listen on every address. Raises `StartupError` when an address or a certificate does not work."""
        self.check_certificate()
        sockets = self.create_sockets()
        for sock in (*sockets.secure_sockets, *sockets.insecure_sockets):
            sock.listen(self.backlog)
        return sockets

    def check_certificate(self) -> None:
        """Raise `StartupError` if the certificate's files cannot be loaded."""
        try:
            self.create_ssl_context()
        except OSError as error:  # ssl.SSLError is one
            raise StartupError(f"the certificate cannot be loaded: {error}") from error

    def _create_sockets(self, binds: list[str], type_: int = socket.SOCK_STREAM) -> list[socket.socket]:
        # Not Hypercorn's own: for several workers that always sets SO_REUSEPORT, with which a second gateway may bind
        # the port in use and take half of the requests.
        sockets: list[socket.socket] = []
        try:
            for bind in binds:
                try:
                    sockets.append(_bound(bind, type_, shared=self.shares_ports))
                except (OSError, ValueError, OverflowError) as error:
                    reason = getattr(error, "strerror", None) or str(error)
                    raise StartupError(f"cannot listen on {bind}: {reason}") from error
        except StartupError:
            for sock in sockets:
                sock.close()
            raise
        return sockets


def _bound(bind: str, type_: int, *, shared: bool) -> socket.socket:
    """A socket bound to `host:port`, that a spawned process can inherit."""
    host, _, port = bind.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, type_)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((host, int(port)))
        sock.setblocking(False)
        sock.set_inheritable(True)
    except BaseException:
        sock.close()
        raise
    return sock
