"""What the demonstration retailer sells, and where.

No company's number is claimed. GTIN-8, -13 and -14 begin with 952, which GS1 keeps for demonstrations (a GTIN-14 after
its indicator digit). A GTIN-12 cannot: these begin with 4, the number system that GS1 US leaves to each shop for its
own use.
"""

from __future__ import annotations

import csv
import tomllib
from importlib.resources import files
from io import TextIOWrapper
from typing import BinaryIO, Final, cast

from tillhook import Store, encode_sgtin96, gtin14

_HERE: Final = files(__package__)
_COMPANY_PREFIX: Final = "9521234"
_FIRST_SERIAL: Final = 1001


def stores() -> tuple[Store, ...]:
    """A shop with barcodes in Denmark and one with RFID tags in Sweden."""
    with _HERE.joinpath("stores.toml").open("rb") as source:
        return tuple(Store(**fields) for fields in tomllib.load(source)["stores"])


def catalogue(name: str) -> BinaryIO:
    """The item file of a store's ``catalogue`` (``demo_dk``, ``demo_se``), for the built-in CSV feed."""
    return cast(BinaryIO, _HERE.joinpath(f"{name}.csv").open("rb"))


def epcs(n: int) -> tuple[str, ...]:
    """``n`` tags (SGTIN-96, hexadecimal) of pieces that are for sale in the Swedish shop, no two alike."""
    with TextIOWrapper(catalogue("demo_se"), encoding="utf-8", newline="") as text:
        rows = csv.DictReader(text)
        codes = [row["retailer_barcode"] for row in rows if not row["blocked_reason"]]
    tagged = [gtin14(code) for code in codes if len(code) == 13 and code.startswith(_COMPANY_PREFIX)]
    return tuple(
        encode_sgtin96(tagged[at % len(tagged)], len(_COMPANY_PREFIX), _FIRST_SERIAL + at // len(tagged))
        for at in range(n)
    )
