"""Plugins' own routes in the API document: made from the types that they declare."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain, count
from typing import Any, Final

import msgspec

from tillhook.core.http.guests import Mount
from tillhook.core.http.parameters import described
from tillhook.core.plugins.addresses import part_names
from tillhook.core.roles.rooms import PluginRoute

_JSON: Final = "application/json"
_REFUSALS: Final = ("400", "404", "422", "502")


class Described:
    """The schemas of all plugins' types; each plugin's are under its name, so that none can take another's."""

    def __init__(self, mounts: Iterable[Mount]) -> None:
        kinds: dict[str, list[Any]] = {}
        for mount in mounts:
            assert isinstance(mount.thing, PluginRoute)
            kinds.setdefault(mount.plugin, []).extend(_kinds(mount.thing))
        self._kinds = kinds
        self._schemas: dict[str, list[dict[str, Any]]] = {}
        self._ids: set[str] = set()
        self.components: dict[str, Any] = {}
        self.tags = [{"name": plugin, "description": f"Routes of the plugin {plugin}."} for plugin in kinds]
        for plugin, of_plugin in kinds.items():
            schemas, components = msgspec.json.schema_components(
                of_plugin, ref_template=f"#/components/schemas/{plugin}.{{name}}"
            )
            self._schemas[plugin] = list(schemas)
            self.components |= {f"{plugin}.{name}": schema for name, schema in components.items()}

    def operation(self, mount: Mount, problem: dict[str, str]) -> dict[str, Any]:
        """One route as OpenAPI has it, without what all routes have in common; ``problem`` is its error answers'."""
        route = mount.thing
        assert isinstance(route, PluginRoute)
        parameters = [_in_path(name) for name in ("store_id", *part_names(mount.path))]
        if route.query is not None:
            schema = self._schema(mount.plugin, route.query)
            parameters += described(self.components[schema["$ref"].rsplit("/", 1)[-1]] if "$ref" in schema else schema)
        operation: dict[str, Any] = {
            "operationId": self._operation_id(mount),
            "tags": [mount.plugin],
            "parameters": parameters,
        }
        if route.body is not None:
            content = {_JSON: {"schema": self._schema(mount.plugin, route.body)}}
            operation["requestBody"] = {"required": True, "content": content}
        answers: dict[str, Any] = {"204": {"description": "Done; there is no body."}}
        if route.answer is not None:
            content = {_JSON: {"schema": self._schema(mount.plugin, route.answer)}}
            answers = {"200": {"description": "The plugin's answer.", "content": content}}
        operation["responses"] = answers | dict.fromkeys(_REFUSALS, problem)
        return operation

    def _operation_id(self, mount: Mount) -> str:
        """The address as one word; where two come to the same word, the second has a number."""
        word = re.sub(r"[^A-Za-z0-9]+", "_", f"{mount.plugin}_{mount.method.lower()}{mount.path}").strip("_")
        words = chain([word], (f"{word}_{number}" for number in count(2)))
        free = next(name for name in words if name not in self._ids)
        self._ids.add(free)
        return free

    def _schema(self, plugin: str, kind: Any) -> dict[str, Any]:
        return self._schemas[plugin][self._kinds[plugin].index(kind)]


def _kinds(route: PluginRoute) -> list[Any]:
    return [kind for kind in (route.query, route.body, route.answer) if kind is not None]


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
