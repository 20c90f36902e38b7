"""Google's access tokens, from a fake token server: fetched once for all who ask, before they expire."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trio
import trio.testing
from google.auth import transport
from google.auth.compute_engine import _metadata
from google.auth.credentials import Credentials

from conformance.replay import ReplayServer
from providers.auth.google_credentials import GoogleTokens, found_credentials, given_credentials
from providers.errors import ErrorKind, ProviderError
from providers.transport.tls import own_client_context
from tests.support.google import TokenServer, service_account

VERIFY = own_client_context()


class Clock:
    """The wall clock, which can be moved on."""

    def __init__(self) -> None:
        self._passed = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._passed

    def pass_time(self, seconds: float) -> None:
        self._passed += timedelta(seconds=seconds)


def tokens(load: Callable[[transport.Request], Credentials], **options: Any) -> GoogleTokens:
    return GoogleTokens(load, verify=VERIFY, **options)


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "*")


async def test_a_service_account_gets_its_token_by_a_signed_grant() -> None:
    async with ReplayServer(TokenServer()) as server:
        assert await tokens(given_credentials(service_account(server.url))).current() == "token-1"
        assert server.exchanges[0].request.target == "/token"


async def test_a_token_is_used_until_shortly_before_it_expires() -> None:
    google, clock = TokenServer(lifetime=3600), Clock()
    async with ReplayServer(google) as server:
        found = tokens(given_credentials(service_account(server.url)), now=clock)
        assert await found.current() == "token-1"
        clock.pass_time(3300)
        assert await found.current() == "token-1"
        clock.pass_time(100)
        assert await found.current() == "token-2"
        assert google.asked == 2


async def test_a_hundred_who_ask_at_once_get_one_token() -> None:
    google = TokenServer()
    async with ReplayServer(google) as server:
        source = tokens(given_credentials(service_account(server.url)))
        found: list[str] = []

        async def ask() -> None:
            found.append(await source.current())

        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(ask)
    assert (found, google.asked) == (["token-1"] * 100, 1)


async def test_a_hundred_who_ask_at_once_share_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    google = TokenServer()
    google.failure = (400, {"error": "invalid_grant", "error_description": "account gateway@secret is disabled"})
    errors: list[ProviderError] = []
    async with ReplayServer(google) as server:
        source = tokens(given_credentials(service_account(server.url)))

        async def ask() -> None:
            with pytest.raises(ProviderError) as caught:
                await source.current()
            errors.append(caught.value)

        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(ask)
        assert google.asked == 1
        assert len({id(error) for error in errors}) == 100  # each has its own, with its own traceback
        google.failure = None
        assert await source.current() == "token-1"
    error = errors[0]
    assert (error.status, error.kind, error.retryable) == (502, ErrorKind.SERVER, False)
    assert error.message == "the gateway has no Google credentials for this model"
    shown = [record.getMessage() for record in caplog.records if record.name == "triway.provider"]
    assert shown == ["no Google credentials: RefreshError"]


async def test_a_server_that_cannot_be_reached_may_be_tried_again() -> None:
    source = tokens(given_credentials(service_account("http://127.0.0.1:9")))
    with pytest.raises(ProviderError) as caught:
        await source.current()
    assert (caught.value.status, caught.value.kind, caught.value.retryable) == (503, ErrorKind.CONNECTION, True)


async def test_a_failed_refresh_leaves_the_token_that_holds(caplog: pytest.LogCaptureFixture) -> None:
    google, clock = TokenServer(), Clock()
    async with ReplayServer(google) as server:
        source = tokens(given_credentials(service_account(server.url)), now=clock)
        await source.current()
        google.failure = (400, {"error": "invalid_grant"})
        clock.pass_time(3500)
        with caplog.at_level(logging.CRITICAL):
            assert await source.current() == "token-1"
            assert await source.current() == "token-1"
            assert google.asked == 2
            clock.pass_time(80)
            with pytest.raises(ProviderError):
                await source.current()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


async def test_who_fetches_may_leave_and_the_others_get_the_token(gate: threading.Event) -> None:
    google = TokenServer()
    started = trio.Event()
    token = trio.lowlevel.current_trio_token()
    async with ReplayServer(google) as server:
        loader = given_credentials(service_account(server.url))

        def load(request: transport.Request) -> Credentials:
            token.run_sync_soon(started.set)
            assert gate.wait(30)
            return loader(request)

        source = tokens(load)
        found: list[str] = []

        async def ask() -> None:
            found.append(await source.current())

        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                fetcher = trio.CancelScope()

                async def fetch() -> None:
                    with fetcher:
                        await ask()

                nursery.start_soon(fetch)
                await started.wait()
                for _ in range(20):
                    nursery.start_soon(ask)
                await trio.testing.wait_all_tasks_blocked(0.01)
                fetcher.cancel()
                await trio.testing.wait_all_tasks_blocked(0.01)
                assert fetcher.cancelled_caught
                gate.set()
        assert (found, google.asked) == (["token-1"] * 20, 1)


async def test_the_metadata_server_gives_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    google, clock = TokenServer(lifetime=600), Clock()
    async with ReplayServer(google) as server:
        address = server.url.removeprefix("http://")
        monkeypatch.setattr(_metadata, "_GCE_METADATA_HOST", address)
        monkeypatch.setenv("GCE_METADATA_IP", address)
        monkeypatch.setattr(_metadata, "_NO_GCE_CHECK", False)
        source = tokens(found_credentials(), now=clock)
        assert await source.current() == "token-1"
        clock.pass_time(400)
        assert await source.current() == "token-2"


async def test_no_credentials_anywhere_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_metadata, "_NO_GCE_CHECK", True)
    monkeypatch.setattr(_metadata, "detect_gce_residency_linux", lambda: False)
    with pytest.raises(ProviderError) as caught:
        await tokens(found_credentials()).current()
    assert caught.value.status == 502


@pytest.mark.parametrize(
    ("info", "what"),
    [
        ({}, "expected credentials of type service_account or authorized_user"),
        ({"type": "service_account", "private_key": "SECRET"}, "they cannot be read"),
        ({**service_account("http://x"), "private_key": "SECRET"}, "they cannot be read"),
        ({"type": "authorized_user"}, "they cannot be read"),
    ],
)
def test_what_are_no_credentials(info: dict[str, Any], what: str) -> None:
    with pytest.raises(ValueError, match=what) as caught:
        given_credentials(info)
    assert "SECRET" not in str(caught.value)
    assert caught.value.__cause__ is None
