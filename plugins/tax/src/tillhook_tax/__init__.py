"""Tax tables: a rate for each tax code, from configuration."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from msgspec import field
from msgspec.structs import replace

from tillhook import Config, Plugin, Rounding, Store, Taxable, TaxCalculator, TaxRate, TaxResult, hookimpl, tax_lines

__all__ = ["TaxSettings", "TaxTables"]

_PERCENT: Final = re.compile(r"\d{1,3}(\.\d{1,6})?", re.ASCII)
_VAT_CODE: Final = "vat"


def percent(text: str) -> Decimal:
    """An exact percentage from 0 to 100, written like ``25`` or ``8.875``. Raises ValueError."""
    if not _PERCENT.fullmatch(text) or Decimal(text) > 100:
        raise ValueError(f"{text!r} is not a percentage: write it like 25 or 8.875, from 0 to 100")
    return Decimal(text)


class TaxSettings(Config, frozen=True):
    """The store type's tax tables."""

    rates: dict[str, str] = field(default_factory=dict)
    """Tax code → percent."""
    label: str = "VAT"
    """What the tax is called on receipts."""
    default_code: str = ""
    """The code whose rate is used for codes without one; empty: such a line is refused."""
    included: bool = True
    """Prices include the tax; else it comes on top."""
    rounding: Rounding = Rounding.HALF_UP
    """Which way half a cent goes."""
    per_line: bool = True
    """Round the tax of each line; else once per tax code."""
    vat_codes: bool = False
    """Read a code such as ``vat25`` or ``vat8.1`` as that percent (item imports write such codes)."""

    def __post_init__(self) -> None:
        for code, text in self.rates.items():
            try:
                percent(text)
            except ValueError as error:
                raise ValueError(f"rates.{code}: {error}") from None
        if self.default_code and _rate(self.default_code, self) is None:
            known = ", ".join(sorted(self.rates)) or "none"
            raise ValueError(f"default_code {self.default_code!r} has no rate (known: {known})")


def _rate(code: str, settings: TaxSettings) -> Decimal | None:
    """The percent of a code: from the table, else from the code itself where that is allowed."""
    if code in settings.rates:
        return percent(settings.rates[code])
    if settings.vat_codes and code.startswith(_VAT_CODE):
        try:
            return percent(code.removeprefix(_VAT_CODE))
        except ValueError:
            return None
    return None


class _Tables:
    """The calculator that is offered."""

    name = "tables"

    def __init__(self, settings: TaxSettings) -> None:
        self._settings = settings
        self._rates = {code: self._named(code, percent(text)) for code, text in settings.rates.items()}

    def evaluate(self, lines: Sequence[Taxable], store: Store) -> TaxResult:
        """Tax every line. Raises ValueError naming the line and the code that has no rate."""
        rates: dict[str, TaxRate] = dict(self._rates)
        # In the order of their numbers, whichever way they came: who bears a rest of rounding must not depend on it.
        coded = [self._coded(line, rates) for line in sorted(lines, key=lambda line: line.line_no)]
        settings = self._settings
        return tax_lines(
            coded, rates, included=settings.included, rounding=settings.rounding, per_line=settings.per_line
        )

    def _coded(self, line: Taxable, rates: dict[str, TaxRate]) -> Taxable:
        """The line under a code of ``rates`` (to which the code is added where the code itself says the percent)."""
        if line.tax_code in rates:
            return line
        found = _rate(line.tax_code, self._settings)
        if found is not None:
            rates[line.tax_code] = self._named(line.tax_code, found)
            return line
        default = self._settings.default_code
        # Without a default the line keeps its code, and tax_lines refuses it by number and code.
        return self._coded(replace(line, tax_code=default), rates) if default else line

    def _named(self, code: str, rate: Decimal) -> TaxRate:
        return TaxRate(code, rate, self._settings.label)


class TaxTables(Plugin):
    """Tax by tables of rates: the calculator ``tables``."""

    hookspec_version = 2
    Settings = TaxSettings
    settings: TaxSettings

    @hookimpl
    def tax_calculators(self) -> Sequence[TaxCalculator]:
        return (_Tables(self.settings),)
