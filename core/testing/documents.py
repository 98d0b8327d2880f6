"""Reading documents whose form we do not know: is it whole, does this amount, this number, this line stand in it?"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final
from xml.etree import ElementTree as ET

from tillhook.core.domain.basket import BasketLine
from tillhook.core.domain.completed import PosLog
from tillhook.core.domain.money import Money

_GROUP = r"[.,'’\u00a0\u202f ]?"
_NEGATIVE: Final = re.compile(r"[-−]\s?\d[\d.,'’\u00a0\u202f ]*|\(\d[\d.,]*\)|\d[\d.,]*-")


def fault_in_form(document: PosLog) -> str:
    """Why it cannot be read as the JSON or XML that its media type says; empty when it can, or is something else."""
    try:
        if is_json(document):
            json.loads(document.document)
        elif is_xml(document):
            ET.fromstring(document.document.encode())  # noqa: S314 - the plugin's own document
    except (ValueError, ET.ParseError) as fault:
        return str(fault)
    return ""


def is_json(document: PosLog) -> bool:
    return "json" in document.media_type


def is_xml(document: PosLog) -> bool:
    return "xml" in document.media_type


def negative_amounts(document: PosLog) -> list[str]:
    """Values that are nothing but a number below zero: of JSON and XML the single values, else words."""
    return [text for text in _values(document) if _NEGATIVE.fullmatch(text.strip())]


def _values(document: PosLog) -> Iterator[str]:
    if is_json(document):
        yield from (str(at) for at in _scalars(json.loads(document.document, parse_float=Decimal)))
    elif is_xml(document):
        for element in ET.fromstring(document.document.encode()).iter():  # noqa: S314 - the plugin's own
            yield from (element.text or "", *element.attrib.values())
    else:
        yield from document.document.split()


def shows_amount(document: PosLog, amount: Money, *, minor: bool = True) -> bool:
    """Whether the amount stands in it, in major units (with any signs for decimals and thousands) or in ``minor``."""
    if is_json(document):
        return any(_is_amount(at, amount, minor) for at in _scalars(json.loads(document.document, parse_float=Decimal)))
    return _is_amount(document.document, amount, minor)


def shows_number(text: str, number: int) -> bool:
    """Whether a whole number stands in a text by itself, zeros before it or not."""
    return re.search(rf"(?<!\d)0*{number}(?!\d)", text) is not None


def names_line(text: str, line: BasketLine) -> bool:
    """Whether a text names what was sold, by any of its codes."""
    codes = (line.gtin, line.gtin.lstrip("0"), line.barcode, line.item_id, line.retailer_product_id)
    return any(code and code in text for code in codes)


def _is_amount(found: Any, amount: Money, minor: bool) -> bool:
    if isinstance(found, bool) or found is None:
        return False
    if isinstance(found, int | Decimal):
        return abs(found) == abs(amount.decimal) or (minor and abs(found) == abs(amount.minor))
    return _major(amount).search(found) is not None or (minor and shows_number(found, abs(amount.minor)))


def _major(amount: Money) -> re.Pattern[str]:
    whole, _, fraction = f"{abs(amount.decimal):f}".partition(".")
    groups = [whole[max(0, end - 3) : end] for end in range(len(whole), 0, -3)][::-1]
    end = rf"[.,]{fraction}(?!\d)" if fraction else r"(?![.,]?\d)"
    return re.compile(rf"(?<!\d){_GROUP.join(groups)}{end}")


def _scalars(value: Any) -> Iterator[Any]:
    match value:
        case dict():
            for at in value.values():
                yield from _scalars(at)
        case list():
            for at in value:
                yield from _scalars(at)
        case _:
            yield value
