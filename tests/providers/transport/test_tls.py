"""TLS: what is verified, what is offered, and what a missing close_notify means."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trio
import trustme

from providers.transport.failures import ConnectError, ReceiveError
from providers.transport.pool import ConnectionPool
from tests.providers.transport.support import OK, Peer, answering, eventually, fetch, serve


async def test_requests_go_over_one_verified_connection(server_tls: ssl.SSLContext, ca_bundle: str) -> None:
    body = b"0123456789" * 100_000

    async def handler(peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(request.body) + request.body)

    async with serve(handler, tls=server_tls) as server:
        pool = ConnectionPool(server.url, trust_env=False, ca_bundle=ca_bundle)
        for sent in (b"{}", body, b"{}"):
            assert (await fetch(pool, body=sent))[2] == sent
        assert (server.connections, pool.open_connections, pool.used_slots) == (1, 1, 0)
        await pool.aclose()
        await eventually(lambda: server.open == 0)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_both_versions_offer_http_1_1_and_are_kept(
    authority: trustme.CA, ca_bundle: str, version: ssl.TLSVersion
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    authority.issue_cert("localhost").configure_cert(context)
    agreed: list[str | None] = []
    names: list[str | None] = []
    context.sni_callback = lambda connection, name, _: names.append(name)

    async def handler(peer: Peer) -> None:
        while await peer.request() is not None:
            agreed.append(peer.stream.selected_alpn_protocol())  # type: ignore[attr-defined]
            await peer.send(OK)

    async with serve(handler, tls=context) as server:
        pool = ConnectionPool(f"https://localhost:{server.port}", trust_env=False, ca_bundle=ca_bundle)
        for _ in range(3):
            assert (await fetch(pool))[2] == b"ok"
            await trio.sleep(0.01)
        await pool.aclose()
    assert agreed == ["http/1.1"] * 3
    assert names == ["localhost"]


async def test_a_connection_that_the_service_closed_is_not_used(server_tls: ssl.SSLContext, ca_bundle: str) -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await peer.stream.aclose()

    async with serve(handler, tls=server_tls) as server:
        pool = ConnectionPool(server.url, trust_env=False, ca_bundle=ca_bundle)
        for _ in range(3):
            assert (await fetch(pool))[2] == b"ok"
            await eventually(lambda: server.open == 0)
        assert (server.connections, pool.open_connections) == (3, 1)
        await pool.aclose()


async def test_an_unknown_authority_is_refused_and_the_reason_is_said(server_tls: ssl.SSLContext) -> None:
    async with serve(answering(OK), tls=server_tls) as server:
        pool = ConnectionPool(server.url, trust_env=False)
        with pytest.raises(ConnectError, match=r"certificate was not accepted: .*(issuer|self-signed)") as caught:
            await fetch(pool)
        assert not caught.value.sent
        assert (pool.used_slots, pool.open_connections) == (0, 0)


async def test_a_certificate_for_another_name_is_refused(authority: trustme.CA, ca_bundle: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("elsewhere.test").configure_cert(context)
    async with serve(answering(OK), tls=context) as server:
        for host in ("127.0.0.1", "localhost"):
            pool = ConnectionPool(f"https://{host}:{server.port}", trust_env=False, ca_bundle=ca_bundle)
            with pytest.raises(ConnectError, match="certificate was not accepted"):
                await fetch(pool)


async def test_a_server_that_does_not_speak_tls_is_an_error() -> None:
    async def handler(peer: Peer) -> None:
        await peer.more()
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serve(handler) as server:
        pool = ConnectionPool(f"https://127.0.0.1:{server.port}", trust_env=False)
        with pytest.raises(ConnectError, match="TLS: wrong version number"):
            await fetch(pool)


async def test_a_body_until_the_end_needs_a_proper_end(server_tls: ssl.SSLContext, ca_bundle: str) -> None:
    proper = True

    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\nhalf of it?")
        if proper:
            with trio.move_on_after(1):
                await peer.stream.unwrap()  # type: ignore[attr-defined]
        else:
            await peer.stream.transport_stream.send_eof()  # type: ignore[attr-defined]
            await peer.stream.transport_stream.aclose()  # type: ignore[attr-defined]

    async with serve(handler, tls=server_tls) as server:
        pool = ConnectionPool(server.url, trust_env=False, ca_bundle=ca_bundle)
        assert (await fetch(pool))[2] == b"half of it?"
        proper = False
        with pytest.raises(ReceiveError, match="TLS connection was cut"):
            await fetch(pool)


async def test_the_environment_names_the_authorities(
    server_tls: ssl.SSLContext, ca_bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", ca_bundle)
    async with serve(answering(OK), tls=server_tls) as server:
        pool = ConnectionPool(server.url, trust_env=True, proxy=None)
        assert (await fetch(pool))[0] == 200
        await pool.aclose()
        pool = ConnectionPool(server.url, trust_env=False)
        with pytest.raises(ConnectError):
            await fetch(pool)


async def test_a_context_of_ones_own(server_tls: ssl.SSLContext, ca_bundle: str) -> None:
    context = ssl.create_default_context(cafile=ca_bundle)
    async with serve(answering(OK), tls=server_tls) as server:
        pool = ConnectionPool(server.url, trust_env=False, ssl_context=context)
        assert (await fetch(pool))[0] == 200
        await pool.aclose()


def test_certificates_that_cannot_be_read_are_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ConnectionPool("https://service.test", trust_env=False, ca_bundle=str(tmp_path / "none.pem"))
    (tmp_path / "bad.pem").write_text("nothing")
    with pytest.raises(ssl.SSLError):
        ConnectionPool("https://service.test", trust_env=False, ca_bundle=str(tmp_path / "bad.pem"))
