"""`Project`: models, plugins and client APIs, with a registry of each. Imports nothing of the gateway."""

from __future__ import annotations

from collections.abc import Sequence

from providers.errors import RequestError
from proxy.apis.base import ClientAPI, ModelCard
from proxy.apis.routes import RouteTable
from proxy.exchange.model import ServedModel
from proxy.plugins.pipeline import Pipeline
from proxy.routing import ModelTable
from proxy.routing.health import ModelHealth


class Project:
    """What is served below `/NAME/`, and the default one without a prefix, too. Serves no model until `install`."""

    def __init__(self, name: str, apis: Sequence[ClientAPI], *, description: str = "") -> None:
        self.name = name
        self.description = description
        self.apis = list(apis)
        self.routes = RouteTable(self.apis)
        self.cards: list[ModelCard] = []
        self.pipeline = Pipeline(())
        self.gatekeepers = Pipeline(())
        """Those of its plugins that authenticate: they guard what no model is asked for, too."""
        self._models: ModelTable[ServedModel] = ModelTable(())

    def install(self, models: Sequence[ServedModel], cards: Sequence[ModelCard], pipeline: Pipeline) -> None:
        """Serve these models, whose providers are configured, through these plugins. Who made them closes them."""
        self._models = ModelTable(models)
        self.cards = list(cards)
        self.pipeline = pipeline
        self.gatekeepers = Pipeline(loaded for loaded in pipeline.plugins if loaded.plugin.sees_credentials)

    def resolve(self, name: str) -> tuple[ServedModel, str | None]:
        """The entry that serves a model name, and what its `*` matched. Raises `RequestError` (404)."""
        found = self._models.resolve(name)
        if found is None:
            raise RequestError(
                f"the model '{name[:200]}' does not exist on this gateway; GET /v1/models lists those that do",
                param="model",
                code="model_not_found",
                status=404,
            )
        return found

    @property
    def models(self) -> tuple[ServedModel, ...]:
        """All entries, in the file's order."""
        return self._models.entries

    def health_of(self, name: str) -> ModelHealth | None:
        """How the entry that serves a model name has been doing; None: there is none."""
        found = self._models.resolve(name)
        return found[0].health if found is not None else None

    def entry_of(self, name: str) -> str | None:
        """The name of the entry that serves a model name; None: there is none."""
        found = self._models.resolve(name)
        return found[0].name if found is not None else None

    def models_path(self, path: str) -> str | None:
        """What stands behind `BASE/models` in a path: "" for the list, a model's name for one; None: no such path."""
        for api in self.apis:
            for base in api.base_paths if api.lists_models else ():
                if path == f"{base}/models":
                    return ""
                if path.startswith(f"{base}/models/"):
                    return path[len(base) + len("/models/") :]
        return None
