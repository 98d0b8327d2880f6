"""Holding an XML document against an XML Schema (XSD). Needs lxml: ``pip install tillhook[schema]``."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path


def faults_by_schema(document: str, schema: Path) -> list[str]:
    """What the schema finds wrong with the document, line by line; empty when it is valid.

    Neither of them may fetch anything: other files of the schema stand beside it. Raises ImportError without lxml and
    ValueError, naming the file, for a schema that is none.
    """
    try:
        etree = import_module("lxml.etree")
    except ImportError as missing:
        raise ImportError(f"{schema.name} is checked with lxml: pip install tillhook[schema]") from missing
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        rules = etree.XMLSchema(etree.parse(schema, parser))
    except (etree.XMLSyntaxError, etree.XMLSchemaParseError) as error:
        raise ValueError(f"{schema} is no XML Schema: {error}") from error
    try:
        found = etree.fromstring(document.encode(), parser)
    except etree.XMLSyntaxError as error:
        return [f"it is not XML: {error}"]
    rules.validate(found)
    return [f"line {at.line}: {at.message}" for at in rules.error_log]
