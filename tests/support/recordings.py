"""The recordings that tests run on: those bundled with the project always, the shared ones where they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from providers.replay.provider import BUNDLED
from providers.replay.recording import Kind, Recording, load_recordings

SHARED = Path(__file__).parents[3] / "shared" / "recordings"


def recordings(api: str, kind: Kind) -> list[object]:
    """Parameters for `pytest.mark.parametrize`: one for each recording, or one that is skipped and says why."""
    params = [_param("bundled", recording) for recording in load_recordings(BUNDLED, api=api, kind=kind)]
    if SHARED.is_dir():
        params += [_param("shared", recording) for recording in load_recordings(SHARED, api=api, kind=kind)]
    else:
        reason = f"the shared recordings are not here ({SHARED.parent.name}/{SHARED.name} beside the checkout)"
        params.append(pytest.param(None, id="shared", marks=pytest.mark.skip(reason=reason)))
    return params


def exchanges(api: str, kind: Kind) -> list[object]:
    """The same, for tests that ask over sockets: `make exhaustive` asks by all, `make test` by one of each vendor."""
    shared = load_recordings(SHARED, api=api, kind=kind) if SHARED.is_dir() else []
    shortest = {one.vendor: one.name for one in sorted(shared, key=lambda one: -len(one.response.body))}
    rest = {f"shared-{one.name}" for one in shared if shortest[one.vendor] != one.name}
    return [
        pytest.param(*param.values, id=param.id, marks=pytest.mark.exhaustive) if param.id in rest else param  # type: ignore[attr-defined]
        for param in recordings(api, kind)
    ]


def _param(origin: str, recording: Recording) -> object:
    return pytest.param(recording, id=f"{origin}-{recording.name}")
