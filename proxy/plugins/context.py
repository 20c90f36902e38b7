"""`PluginContext`: what a plugin sees of a request. Imports the model and the client APIs' types.

One for each request that has plugins. What few plugins ask for (headers, the accumulated answer) is made when one does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec

from providers.errors import GatewayError
from providers.model import LLMRequest, LLMResponse, Usage
from proxy.apis.base import ModelCard
from proxy.routing.health import ModelHealth
from proxy.routing.plan import RoutePlan

if TYPE_CHECKING:
    from proxy.plugins.base import Phase

CREDENTIAL_HEADERS = frozenset(
    {
        "authorization",
        "proxy-authorization",
        "x-api-key",
        "api-key",
        "x-goog-api-key",
        "x-amz-security-token",
        "cookie",
    }
)
"""Headers that carry who the client is; seen only by plugins that ask (`Plugin.sees_credentials`)."""
CREDENTIAL_PARAMETERS = frozenset({"key", "api_key", "api-key", "access_token"})
"""The same for the query string."""


class HTTPRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The client's request line."""

    method: str
    path: str
    http_version: str
    scheme: str


class PluginContext:
    """What is known of a request. Change nothing in place; see `Plugin`."""

    __slots__ = (
        "_accumulated",
        "_buffered",
        "_finalizers",
        "_headers",
        "_query_params",
        "_raw_headers",
        "_raw_query",
        "_to_hide",
        "_views",
        "adapter",
        "answered_by",
        "available_models",
        "chunk",
        "client_ip",
        "continued",
        "credentials",
        "departed",
        "entry_of",
        "error",
        "experiment_id",
        "experiment_variant",
        "final_chunk",
        "health",
        "http_request",
        "key_id",
        "metadata",
        "metrics",
        "operation",
        "phase",
        "plugin_data",
        "project",
        "request",
        "request_id",
        "response",
        "response_headers",
        "retries_left",
        "retry_count",
        "routes",
        "served_model",
        "status",
        "stream_data",
        "target_model",
        "target_model_provider",
        "usage",
        "user_id",
    )

    def __init__(
        self,
        *,
        request: LLMRequest,
        project: str = "",
        adapter: str = "",
        operation: str = "complete",
        request_id: str = "",
        available_models: Sequence[ModelCard] = (),
        http_request: HTTPRequest | None = None,
        headers: Mapping[bytes, bytes] | None = None,
        query: str = "",
        client_ip: str | None = None,
        health: Callable[[str], ModelHealth | None] = lambda model: None,
        entry_of: Callable[[str], str | None] = lambda model: model,
    ) -> None:
        self.project = project
        """The project's name."""
        self.adapter = adapter
        """The client API's name (`openai-chat` ...)."""
        self.operation = operation
        """What the client asks for: `complete`, `count_tokens` ..."""
        self.request_id = request_id
        self.request = request
        self.response: LLMResponse | None = None
        """The whole answer (`after_model`); in `detached_after_response` what the client was sent, perhaps in part."""
        self.chunk: LLMResponse | None = None
        """`after_chunk`: the stream's next chunk, as the plugins before left it."""
        self.final_chunk = False
        """`after_chunk`: this is the last call."""
        self.available_models = available_models
        """The project's models."""
        self.health = health
        """How the model of a name has been doing; None: there is no such model."""
        self.entry_of = entry_of
        """The entry of `models` that serves a model name, as the file names it; None: there is none."""
        self.target_model: str | None = None
        """The model's name that a plugin chose; None: the request's own."""
        self.served_model: str | None = None
        """The entry of `models` that is asked, or that answered; None before."""
        self.target_model_provider: str | None = None
        """That entry's provider type."""
        self.routes: RoutePlan | None = None
        self.http_request = http_request or HTTPRequest(method="POST", path="", http_version="1.1", scheme="http")
        self.client_ip = client_ip
        """The address at the other end of the connection."""
        self.credentials: Mapping[str, str] = {}
        """The credential headers (lower case) and query parameters (as `?key`), for plugins that see them."""
        self.user_id = request.metadata.user_id
        """Who asks: what the request says, or an authentication plugin found."""
        self.key_id: str | None = None
        """The name of the key that the client showed, as an authentication plugin knows it; never the key."""
        self.metadata: dict[str, Any] = {}
        """Notes that plugins leave for one another and for the log."""
        self.plugin_data: dict[str, Any] = {}
        """This plugin's own store for this request. May be changed in place."""
        self.stream_data: dict[str, Any] = {}
        """`after_chunk`: this plugin's own store for the stream that it looks at, for what it has seen or keeps of it.
        Empty again when the model is asked anew, since what came before is void then."""
        self.metrics: dict[str, float] = {}
        """Figures. In `detached_after_response` with the gateway's own: `duration_ms`, `ttft_ms`, `chunks`, `bytes_in`,
        `bytes_out`."""
        self.response_headers: dict[str, str] = {}
        """Headers that plugins add to the client's answer."""
        self.error: GatewayError | None = None
        """What went wrong, if something did."""
        self.retry_count = 0
        """How many times the model was asked again."""
        self.continued = False
        """In a stream: the client has been sent what the model said before it was asked again, as well."""
        self.retries_left = 0
        """How many times plugins may still have it asked again."""
        self.experiment_id: str | None = None
        self.experiment_variant: str | None = None
        self.usage: Usage | None = None
        """When the request is over: what the models that were asked took for it, all turns together, as far as they
        told. A plugin's own answer takes nothing."""
        self.answered_by: str | None = None
        """When the request is over: the plugin that answered in the model's place."""
        self.status = 0
        """When the request is over: the status that was recorded (499: the client left)."""
        self.departed: str | None = None
        """When the request is over: why the client was gone, if it was (`disconnect`, `write_timeout`)."""
        self.phase: Phase = "before_model"
        self._raw_headers: Mapping[bytes, bytes] = headers or {}
        self._headers: dict[str, str] | None = None
        self._raw_query = query
        self._query_params: dict[str, str] | None = None
        self._accumulated: Callable[[], LLMResponse | None] | None = None
        self._buffered: Callable[[], LLMResponse | None] | None = None
        self._finalizers: list[Callable[[], object]] = []
        self._views: list[Callable[[LLMResponse], LLMResponse]] = []
        self._to_hide: Collection[object] = ()

    @property
    def headers(self) -> Mapping[str, str]:
        """The client's headers, names in lower case, without those that carry credentials."""
        if self._headers is None:
            decoded = {name.decode("latin-1"): value.decode("latin-1") for name, value in self._raw_headers.items()}
            self._headers = {name: value for name, value in decoded.items() if name not in CREDENTIAL_HEADERS}
        return self._headers

    @property
    def query_params(self) -> Mapping[str, str]:
        """The query string's parameters (of a repeated one the last), without those that carry credentials."""
        if self._query_params is None:
            pairs = parse_qsl(self._raw_query, keep_blank_values=True)
            self._query_params = {k: v for k, v in pairs if k not in CREDENTIAL_PARAMETERS}
        return self._query_params

    @property
    def user_agent(self) -> str | None:
        return self.headers.get("user-agent")

    @property
    def buffered_chunk(self) -> LLMResponse | None:
        """`after_chunk`: what this plugin held back so far and this chunk, merged. Made anew on each look."""
        return self._buffered() if self._buffered is not None else self.chunk

    @property
    def accumulated_response(self) -> LLMResponse | None:
        """The answer so far, this chunk included, as the provider gave it; in `detached_after_response` the same as
        `response`. Joined anew on each look: not for every chunk."""
        return self._accumulated() if self._accumulated is not None else self.response

    def defer(self, callback: Callable[[], object]) -> None:
        """Have `callback()` called when the request is over, whatever came of it. For what must be given back, as
        detached work may be dropped. The context is then as in `detached_after_response`. It must not wait; what it
        raises is logged."""
        self._finalizers.append(callback)

    def hide_in_records(self, view: Callable[[LLMResponse], LLMResponse]) -> None:
        """For plugins that hide, on the way in: what is recorded of answers goes through `view`, whatever the client
        is shown."""
        self._views.append(view)

    @property
    def may_be_recorded(self) -> bool:
        """Whether what was said may be recorded: every plugin that hides (`Plugin.hides`) has seen the request."""
        return not self._to_hide

    @property
    def recorded_response(self) -> LLMResponse | None:
        """`response` as it may be recorded: with what plugins hide hidden, even if the client was shown it. None: there
        is none, or it may not be recorded."""
        response = self.response
        if response is None or self._to_hide:
            return None
        for view in self._views:
            response = view(response)
        return response

    def all_credentials(self) -> dict[str, str]:
        """For the pipeline: what `credentials` is for a plugin that sees them."""
        found = {
            name: value.decode("latin-1")
            for raw, value in self._raw_headers.items()
            if (name := raw.decode("latin-1")) in CREDENTIAL_HEADERS
        }
        for name, text in parse_qsl(self._raw_query, keep_blank_values=True):
            if name in CREDENTIAL_PARAMETERS:
                found[f"?{name}"] = text
        return found

    def __repr__(self) -> str:
        # Not the content: a repr ends up in logs.
        return f"<PluginContext {self.request_id} {self.phase} project={self.project!r} adapter={self.adapter!r}>"
