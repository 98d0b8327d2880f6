"""Put the face of the package (``src/tillhook/*``) into a built wheel, beside the top-level code."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FACE = ("__init__.py", "__main__.py", "py.typed")


class FaceHook(BuildHookInterface[Any]):
    """Adds the face to a wheel; an editable install reads ``src/`` itself, where a forced file would shadow it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version != "editable":
            for name in FACE:
                build_data["force_include"][f"src/tillhook/{name}"] = name
