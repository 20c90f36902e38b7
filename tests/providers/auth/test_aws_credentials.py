"""AWS credentials are fetched in a thread, once for all who wait, under a deadline; what still holds is given out."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trio
import trio.testing
from botocore.credentials import Credentials, DeferredRefreshableCredentials, RefreshableCredentials

from providers.auth.aws_credentials import AWSCredentials, found_credentials, static_credentials
from providers.auth.expiring import FETCH_TIMEOUT, RETRY_AFTER
from providers.errors import ErrorKind, ProviderError


class Issuer:
    """Issues temporary credentials, on a clock of its own; each lives as many seconds as `lifetime` says."""

    def __init__(self, lifetime: int = 3600) -> None:
        self.now = datetime(2026, 3, 21, tzinfo=UTC)
        self.lifetime = lifetime
        self.issued = 0
        self.failing = False
        self.gate: threading.Event | None = None
        self.threads: set[int] = set()

    def issue(self) -> dict[str, Any]:
        self.issued += 1
        self.threads.add(threading.get_ident())
        number = self.issued
        if self.gate is not None:
            assert self.gate.wait(30)
        if self.failing:
            raise OSError("the metadata server is down")
        expires = self.now + timedelta(seconds=self.lifetime)
        return {
            "access_key": f"AKID{number}",
            "secret_key": "secret",
            "token": f"token{number}",
            "expiry_time": expires.isoformat(),
        }

    def load(self) -> RefreshableCredentials:
        return DeferredRefreshableCredentials(self.issue, "test", time_fetcher=lambda: self.now)

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


async def test_static_keys_are_given_out_as_they_are() -> None:
    credentials = AWSCredentials(static_credentials("AKID", "secret", None))
    for _ in range(2):
        assert await credentials.current() == ("AKID", "secret", None, None)


async def test_ten_who_ask_at_once_get_one_fetch_outside_the_loops_thread() -> None:
    issuer = Issuer()
    credentials = AWSCredentials(issuer.load, lambda: issuer.now)
    found = []

    async def ask() -> None:
        found.append((await credentials.current()).access_key)

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(ask)
    assert (found, issuer.issued) == (["AKID1"] * 10, 1)
    assert threading.get_ident() not in issuer.threads


async def test_they_are_refreshed_before_they_expire() -> None:
    issuer = Issuer(lifetime=3600)
    credentials = AWSCredentials(issuer.load, lambda: issuer.now)
    assert (await credentials.current()).access_key == "AKID1"
    issuer.pass_time(2600)  # botocore's advisory period is the last quarter of an hour
    assert (await credentials.current()).access_key == "AKID1"
    issuer.pass_time(200)
    assert (await credentials.current()).access_key == "AKID2"


async def test_while_one_refreshes_the_others_go_on_with_what_holds(gate: threading.Event) -> None:
    issuer = Issuer()
    credentials = AWSCredentials(issuer.load, lambda: issuer.now)
    await credentials.current()
    issuer.pass_time(3000)
    issuer.gate = gate
    found = []

    async def ask() -> None:
        found.append((await credentials.current()).access_key)

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked(0.01)
            for _ in range(3):
                await ask()
            assert found == ["AKID1"] * 3
            gate.set()
    assert found[-1] == "AKID2"


async def test_a_failed_refresh_leaves_what_holds_until_the_next_try(
    mock_clock: trio.testing.MockClock,
) -> None:
    issuer = Issuer()
    credentials = AWSCredentials(issuer.load, lambda: issuer.now)
    await credentials.current()
    issuer.pass_time(2900)
    issuer.failing = True
    for _ in range(5):
        assert (await credentials.current()).access_key == "AKID1"
    assert issuer.issued == 2
    issuer.failing = False
    mock_clock.jump(RETRY_AFTER)
    assert (await credentials.current()).access_key == "AKID3"


async def test_expired_ones_that_cannot_be_refreshed_are_an_error(caplog: pytest.LogCaptureFixture) -> None:
    issuer = Issuer()
    credentials = AWSCredentials(issuer.load, lambda: issuer.now)
    await credentials.current()
    issuer.pass_time(3599)
    issuer.failing = True
    with caplog.at_level(logging.ERROR, "triway.provider"), pytest.raises(ProviderError) as caught:
        await credentials.current()
    assert (caught.value.kind, caught.value.status, caught.value.retryable) == (ErrorKind.AUTHENTICATION, 401, False)
    assert caught.value.message == "the gateway has no AWS credentials for this model"
    assert [record.getMessage() for record in caplog.records if record.name == "triway.provider"] == [
        "no AWS credentials: OSError"
    ]


@pytest.mark.parametrize("load", [lambda: None, found_credentials("no-such-profile")], ids=["none", "profile"])
async def test_none_at_all_is_an_error(load: Callable[[], Any]) -> None:
    with pytest.raises(ProviderError, match="has no AWS credentials"):
        await AWSCredentials(load).current()


async def test_a_fetch_that_hangs_is_given_up(gate: threading.Event, autojump_clock: trio.testing.MockClock) -> None:
    started = threading.Event()

    def load() -> Credentials:
        started.set()
        assert gate.wait(30)
        return Credentials("AKID", "secret")

    credentials = AWSCredentials(load)
    began = trio.current_time()
    with pytest.raises(ProviderError) as caught:
        await credentials.current()
    assert (caught.value.kind, caught.value.status, caught.value.retryable) == (ErrorKind.TIMEOUT, 504, True)
    assert trio.current_time() - began == FETCH_TIMEOUT
    # Another try waits for the same thread's place instead of starting a second one.
    started.clear()
    with pytest.raises(ProviderError):
        await credentials.current()
    assert not started.is_set()


async def test_who_waits_can_be_cancelled_and_the_next_one_goes_on(gate: threading.Event) -> None:
    issuer = Issuer()
    issuer.gate = gate
    credentials = AWSCredentials(issuer.load, lambda: issuer.now)
    with trio.fail_after(20):
        with trio.move_on_after(0.05) as scope:
            await credentials.current()
        assert scope.cancelled_caught
        gate.set()
        assert (await credentials.current()).access_key == "AKID1"
    assert issuer.issued == 1
