"""A client API written as a single .py file outside the package is mounted beside the built-in ones."""

from __future__ import annotations

from pathlib import Path

import httpx

from conformance.replay import Play, ReplayServer
from providers.replay.provider import BUNDLED
from providers.replay.recording import load_recording
from tests.support.gateway import model, serving

PLAIN_TEXT_API = '''
"""Plain text in, plain text out. The first line names the model."""

from providers import LLMRequest, Message, TextPart, extension
from providers.errors import RequestError
from proxy.apis import ClientAPI


class Encoder:
    dropped_blocks = 0

    def encode(self, chunk):
        parts = [part for choice in chunk.choices for part in (choice.delta.content if choice.delta else [])]
        return "".join(part.text for part in parts if isinstance(part, TextPart)).encode()

    def finish(self, response):
        return b"\\\\n-- end\\\\n"


@extension(name="plain", version="1.0.0", description="Plain text")
class PlainAPI(ClientAPI):
    api = "plain"
    base_paths = ("/plain",)
    operations = {"/ask": "complete", "/stream": "complete"}

    def transform_input(self, call):
        name, _, text = call.body.decode().partition("\\\\n")
        if not text:
            raise RequestError("expected the model's name, a line end and the question")
        question = Message(role="user", content=[TextPart(text=text)])
        return LLMRequest(model=name, stream=call.query == "stream", messages=[question])

    def transform_output(self, response, request):
        return response.choices[0].message.text.encode()

    def transform_token_count(self, response):
        return str(response.usage.prompt_tokens).encode()

    def stream_encoder(self, request):
        return Encoder()

    def transform_error(self, error, request_id):
        return f"error {error.status}: {error.message}".encode()

    def transform_stream_error(self, error):
        return f"\\\\n-- error: {error.message}".encode()

    def transform_models(self, models):
        return "\\\\n".join(model.id for model in models).encode()

    def transform_model(self, model):
        return model.id.encode()
'''.replace("\\\\n", "\\n")


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
            streamed = await client.post("/plain/stream?stream", content="o\nhello?")
            assert streamed.text.endswith("\n-- end\n")
            assert len(streamed.text) > 20
            assert (await client.post("/plain/ask", content="x")).text.startswith(
                "error 400: expected the model's name"
            )
            assert (await client.post("/plain/ask", content="x\ny")).text.startswith("error 404: the model 'x'")
            assert (await client.get("/plain/models")).text == "o\na"
            assert (await client.get("/v1/models")).json()["object"] == "list"
