"""The parameters of an address as a Struct: read, and described for the API document."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct

from tillhook.core.domain.problems import malformed_request
from tillhook.core.http.reading import complaint, sentence
from tillhook.core.plugins.addresses import query_fields, takes_several

MOST_PARAMETERS: Final = 100


def read_query(raw: bytes, kind: type[Struct]) -> Any:
    """The query string as a Struct. Raises ``malformed_request`` naming the parameter that is wrong."""
    several = {field.encode_name for field in query_fields(kind) if takes_several(field)}
    found: dict[str, Any] = {}
    for name, value in _pairs(raw):
        if name in several:
            found.setdefault(name, []).append(value)
        elif name in found:
            raise malformed_request(f"query parameter {name[:60]}: it is given twice.", parameter=name[:60])
        else:
            found[name] = value
    try:
        return msgspec.convert(found, kind, strict=False)
    except msgspec.ValidationError as error:
        parameter, words = complaint(error)
        about = sentence(f"query parameter {parameter}" if parameter else "The query", words)
        raise malformed_request(about, parameter=parameter, expected=words) from error


def _pairs(raw: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_PARAMETERS)
    except UnicodeDecodeError as error:
        raise malformed_request("The query is not UTF-8, percent-encoded.") from error
    except ValueError as error:
        raise malformed_request(f"The query has more than {MOST_PARAMETERS} parameters.") from error


def described(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """The parameters as OpenAPI has them, from the JSON schema of their Struct."""
    required = set(schema.get("required", ()))
    return [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            "schema": {key: value for key, value in one.items() if key != "description"},
            **({"description": one["description"]} if "description" in one else {}),
        }
        for name, one in schema.get("properties", {}).items()
    ]
