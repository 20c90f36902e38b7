"""`provider_suite` as an extension author uses it: a provider of one's own, in a test file of one's own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from conformance.pytest import provider_suite
from providers.replay.provider import ReplayProvider

ROOT = Path(__file__).parents[2]

PROVIDER = """
from providers.builtin.openai import OpenAIProvider
from providers.extension import extension
from providers.http import http_schema
from conformance.pytest import provider_suite


@extension(
    name="mine", version="1.0.0",
    configuration_schema=http_schema(required=("region",), region={"enum": ["eu", "us"]}, baseUrl={}),
)
class Mine(OpenAIProvider):
    def response_in(self, body, request):
        response = super().response_in(body, request)
        {change}
        return response


TestMine = provider_suite(Mine, api="openai-chat", config={"region": "eu"})
"""


def run(folder: Path, change: str, *chosen: str) -> subprocess.CompletedProcess[str]:
    path = folder / "test_mine.py"
    path.write_text(PROVIDER.replace("{change}", change))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(path), *chosen]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_a_sound_provider_passes(tmp_path: Path) -> None:
    done = run(tmp_path, "pass", "-k", "json or error or (stream/text and (bytes or fin or time))")
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout


def test_a_fault_is_told_by_the_check_s_name_and_reason(tmp_path: Path) -> None:
    done = run(tmp_path, "response.choices[0].finish_reason = 'length'", "-k", "json/text::event")
    assert done.returncode == 1
    assert "same message: finish: at character 0, expected 'stop', got 'length'" in done.stdout


def test_a_configuration_that_does_not_fit_is_told(tmp_path: Path) -> None:
    done = run(tmp_path, "pass", "-k", "json/text::event", "--override-ini=filterwarnings=ignore")
    assert done.returncode == 0
    path = tmp_path / "test_mine.py"
    path.write_text(path.read_text().replace('"eu"}', '"mars"}'))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(path), "-k", "json/text::event"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "region: expected one of 'eu', 'us'" in done.stdout


def test_an_api_that_the_suite_cannot_read_is_refused() -> None:
    with pytest.raises(LookupError, match="cannot read 'smoke-signals'; it knows openai-chat"):
        provider_suite(ReplayProvider, api="smoke-signals")
