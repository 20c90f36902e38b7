"""What docs/client-apis.md shows works as it stands there, mounted beside the built-in APIs."""

from __future__ import annotations

import re
from pathlib import Path

import httpx

from conformance.replay import Play, ReplayServer
from providers.replay.provider import BUNDLED
from providers.replay.recording import load_recording
from tests.support.gateway import model, serving

GUIDE = (Path(__file__).parents[2] / "docs" / "client-apis.md").read_text()
EXAMPLE = re.search(r"<!-- example: plain_api.py -->.*?```python\n(.*?)```", GUIDE, re.DOTALL)
assert EXAMPLE
PLAIN_TEXT_API = EXAMPLE[1]


async def test_it_serves_whole_and_streamed_and_tells_errors(tmp_path: Path) -> None:
    file = tmp_path / "plain_api.py"
    file.write_text(PLAIN_TEXT_API)
    stream = load_recording(BUNDLED / "openai-chat" / "stream" / "text.json")
    whole = load_recording(BUNDLED / "anthropic-messages" / "json" / "text.json")
    async with ReplayServer(Play(stream)) as openai, ReplayServer(Play(whole)) as anthropic:
        models = [model("openai-chat", openai.url, name="o"), model("anthropic-messages", anthropic.url, name="a")]
        async with serving(models, extensions=[file]) as gateway, httpx.AsyncClient(base_url=gateway.url) as client:
            answer = await client.post("/plain/ask", content="a\nhello?")
            assert answer.status_code == 200
            assert answer.text
            streamed = await client.post("/plain/stream", content="o\nhello?")
            assert streamed.text.endswith("\n-- end\n")
            assert len(streamed.text) > 20
            assert (await client.post("/plain/ask", content="x")).text.startswith(
                "error 400: expected the model's name"
            )
            assert (await client.post("/plain/ask", content="x\ny")).text.startswith("error 404: the model 'x'")
            assert (await client.get("/plain/models")).text == "o\na"
            assert (await client.get("/v1/models")).json()["object"] == "list"
