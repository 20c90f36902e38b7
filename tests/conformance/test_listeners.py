"""What goes wrong before there is a request."""

from __future__ import annotations

import ssl
from urllib.parse import urlsplit

import pytest
import trio

from conformance.replay import Answer, Play
from conformance.replay.listeners import LISTENER_FAULTS
from tests.support.raw_client import fetch

HELLO = Play(Answer(body=b"hello"))


def address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


async def test_refused() -> None:
    async with LISTENER_FAULTS["refused"].open(HELLO) as url:
        with pytest.raises(OSError, match=r"refused|connect"):
            await trio.open_tcp_stream(*address(url))


async def test_unanswered_neither_connects_nor_fails() -> None:
    async with LISTENER_FAULTS["unanswered"].open(HELLO) as url:
        with trio.move_on_after(0.3) as scope:
            await trio.open_tcp_stream(*address(url))
        assert scope.cancelled_caught


async def test_slow_accept_answers_in_the_end() -> None:
    async with LISTENER_FAULTS["slow-accept"].open(HELLO) as url:
        assert (await fetch(address(url), patience=0.05)).silent
        assert (await fetch(address(url))).body == b"hello"


@pytest.mark.parametrize("name", ["plaintext-on-tls", "garbage-on-tls", "closed-on-tls"])
async def test_a_tls_handshake_fails(name: str) -> None:
    async with LISTENER_FAULTS[name].open(HELLO) as url:
        assert url.startswith("https://")
        stream = await trio.open_tcp_stream(*address(url))
        secure = trio.SSLStream(stream, ssl.create_default_context(), server_hostname="127.0.0.1")
        with trio.fail_after(5), pytest.raises(trio.BrokenResourceError) as caught:
            await secure.do_handshake()
        assert isinstance(caught.value.__cause__, ssl.SSLError)
        await trio.aclose_forcefully(secure)


async def test_a_tls_handshake_hangs() -> None:
    async with LISTENER_FAULTS["silence-on-tls"].open(HELLO) as url:
        stream = await trio.open_tcp_stream(*address(url))
        secure = trio.SSLStream(stream, ssl.create_default_context(), server_hostname="127.0.0.1")
        with trio.move_on_after(0.2) as scope:
            await secure.do_handshake()
        assert scope.cancelled_caught
        await trio.aclose_forcefully(secure)


async def test_a_failed_assertion_in_the_block_stays_itself() -> None:
    with pytest.raises(KeyError):
        async with LISTENER_FAULTS["silence-on-tls"].open(HELLO):
            raise KeyError("mine")


def test_every_fault_says_what_it_is_and_what_must_be_seen() -> None:
    for fault in LISTENER_FAULTS.values():
        assert fault.sentence
        assert fault.expect.outcome == ("success" if "slow" in type(fault).__name__.lower() else "error")
