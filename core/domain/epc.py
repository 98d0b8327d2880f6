"""Electronic Product Codes: SGTIN-96 tags to their pure-identity URI and GTIN (EPC Tag Data Standard §14.6.1)."""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from tillhook.core.domain.identifiers import check_digit
from tillhook.core.domain.problems import barcode_invalid

_HEADER_SGTIN_96: Final = 0x30
_PARTITIONS: Final = (
    (40, 12, 4, 1),
    (37, 11, 7, 2),
    (34, 10, 10, 3),
    (30, 9, 14, 4),
    (27, 8, 17, 5),
    (24, 7, 20, 6),
    (20, 6, 24, 7),
)
"""Partition value → company prefix bits, its digits, item reference bits, its digits (indicator included)."""

_SERIAL: Final = r"(?:[!'-.0-9:;=A-Z_a-z]|%2[2356Ff]|%3[CEFcef]){1,20}"
"""GS1's character set 82, of which ``" % & / < > ?`` are written as escapes in a URI (TDS §6.3.1)."""
_URI: Final = re.compile(rf"urn:epc:id:sgtin:([0-9]{{6,12}})\.([0-9]{{1,7}})\.({_SERIAL})", re.IGNORECASE | re.ASCII)
_ESCAPE: Final = re.compile(r"%..")
_HEX_96: Final = re.compile(r"[0-9A-Fa-f]{24}")


class Sgtin(Struct, frozen=True):
    """A serialised GTIN: the trade item and the one piece of it that carries this tag."""

    gtin: str
    """14 digits."""
    serial: str
    uri: str
    """``urn:epc:id:sgtin:CompanyPrefix.IndicatorAndItemRef.Serial``, the form in which pieces are compared."""


def read_epc(text: str) -> Sgtin:
    """Read an SGTIN from 24 hexadecimal digits or its URI. Raises ``barcode_invalid``."""
    code = text.strip()
    if len(code) > 120:
        raise barcode_invalid(f"An EPC of {len(code)} characters cannot be read.", epc=code[:40])
    if match := _URI.fullmatch(code):
        prefix, reference, serial = match.groups()
        if len(prefix) + len(reference) != 13:
            raise barcode_invalid(f"{code}: prefix and item reference must have 13 digits together.", epc=code)
        return _sgtin(prefix, reference, _ESCAPE.sub(lambda escape: escape[0].upper(), serial))
    if _HEX_96.fullmatch(digits := code.replace(" ", "")):
        return _from_bits(int(digits, 16), digits.upper())
    raise barcode_invalid(f"{code!r} is neither 24 hexadecimal digits nor an SGTIN URI.", epc=code)


def _from_bits(value: int, shown: str) -> Sgtin:
    if value >> 88 != _HEADER_SGTIN_96:
        raise barcode_invalid(f"EPC {shown} is not an SGTIN-96 (header {value >> 88:02X}, not 30).", epc=shown)
    partition = value >> 82 & 0b111
    if partition == 7:
        raise barcode_invalid(f"EPC {shown} has partition 7, which is reserved.", epc=shown)
    prefix_bits, prefix_digits, reference_bits, reference_digits = _PARTITIONS[partition]
    prefix = value >> (82 - prefix_bits) & (1 << prefix_bits) - 1
    reference = value >> 38 & (1 << reference_bits) - 1
    if prefix >= 10**prefix_digits or reference >= 10**reference_digits:
        raise barcode_invalid(f"EPC {shown} holds more digits than its partition allows.", epc=shown)
    serial = value & (1 << 38) - 1
    return _sgtin(str(prefix).zfill(prefix_digits), str(reference).zfill(reference_digits), str(serial))


def _sgtin(prefix: str, reference: str, serial: str) -> Sgtin:
    body = reference[0] + prefix + reference[1:]
    gtin = f"{body}{check_digit(body)}"
    return Sgtin(gtin, serial, f"urn:epc:id:sgtin:{prefix}.{reference}.{serial}")


def encode_sgtin96(gtin: str, prefix_digits: int, serial: int, filter_value: int = 1) -> str:
    """The 24 hexadecimal digits of a tag, for test data and printers.

    Raises ValueError for a GTIN that is not 14 digits with their check digit, and beyond the standard's ranges.
    """
    if not (len(gtin) == 14 and gtin.isascii() and gtin.isdigit() and int(gtin[-1]) == check_digit(gtin[:-1])):
        raise ValueError(f"{gtin!r} is not a GTIN of 14 digits")
    if not 6 <= prefix_digits <= 12 or not 0 <= serial < 1 << 38 or not 0 <= filter_value < 8:
        raise ValueError("prefix_digits 6-12, serial below 2**38 and filter 0-7 are the ranges of SGTIN-96")
    partition = 12 - prefix_digits
    _, _, reference_bits, _ = _PARTITIONS[partition]
    prefix = int(gtin[1 : 1 + prefix_digits])
    reference = int(gtin[0] + gtin[1 + prefix_digits : 13])
    head = _HEADER_SGTIN_96 << 6 | filter_value << 3 | partition
    return f"{((head << 44 | prefix << reference_bits | reference) << 38) | serial:024X}"
