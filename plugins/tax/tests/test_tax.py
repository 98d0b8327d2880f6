"""Tax tables: which rate a code has, how it is rounded, what is refused."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from msgspec.structs import replace

from tillhook import Store, Taxable, TaxCalculator, TaxResult
from tillhook.core.testing.contracts import TaxContract
from tillhook.core.testing.subject import build
from tillhook_tax import TaxTables

STORE = Store(
    store_id="store_1", store_type="demo", region="DE", name="Demo", currency="EUR", timezone="Europe/Berlin",
    catalogue="demo", retailer_store_id="1",
)  # fmt: skip
RATES = {"standard": "19", "reduced": "7", "city": "8.875", "zero": "0"}


class TestIncluded(TaxContract):
    plugin = TaxTables
    settings: ClassVar[Mapping[str, Any]] = {"rates": RATES}
    codes: ClassVar[Sequence[str]] = tuple(RATES)


class TestOnTop(TestIncluded):
    settings: ClassVar[Mapping[str, Any]] = {"rates": RATES, "included": False, "rounding": "up"}


class TestRoundedOncePerCode(TestIncluded):
    settings: ClassVar[Mapping[str, Any]] = {"rates": RATES, "per_line": False, "rounding": "half_even"}


class TestDefaultAndVatCodes(TestIncluded):
    settings: ClassVar[Mapping[str, Any]] = {"rates": RATES, "default_code": "standard", "vat_codes": True}
    codes: ClassVar[Sequence[str]] = (*RATES, "other", "vat25", "vat8.1")
    unknown_code: ClassVar[str | None] = None


def calculator(**settings: Any) -> TaxCalculator:
    (tables,) = build(TaxTables, settings, Path()).tax_calculators()
    return tables


def evaluate(tables: TaxCalculator, *lines: tuple[str, int]) -> TaxResult:
    return tables.evaluate([Taxable(place, code, minor) for place, (code, minor) in enumerate(lines, 1)], STORE)


def test_included_tax_is_taken_out_of_the_price() -> None:
    result = evaluate(calculator(rates=RATES, label="MwSt"), ("standard", 11900), ("reduced", 10700), ("zero", 500))
    assert result.included
    assert [(row.code, row.label, str(row.percent), row.taxable, row.tax) for row in result.breakup] == [
        ("standard", "MwSt", "19", 10000, 1900),
        ("reduced", "MwSt", "7", 10000, 700),
        ("zero", "MwSt", "0", 500, 0),
    ]


def test_tax_on_top_is_added_to_the_price() -> None:
    result = evaluate(calculator(rates=RATES, included=False), ("city", 10000))
    assert not result.included
    assert (result.breakup[0].taxable, result.total_tax) == (10000, 888)  # 887.5 exactly


@pytest.mark.parametrize(("rounding", "tax"), [("half_up", 888), ("half_even", 888), ("up", 888), ("down", 887)])
def test_rounding_is_a_setting(rounding: str, tax: int) -> None:
    assert evaluate(calculator(rates=RATES, included=False, rounding=rounding), ("city", 10000)).total_tax == tax


def test_rounding_each_line_and_rounding_once_per_code_may_differ() -> None:
    lines = [("reduced", 107 + 8)] * 3  # 7.52… each, 22.57… together
    assert evaluate(calculator(rates=RATES), *lines).total_tax == 24
    assert evaluate(calculator(rates=RATES, per_line=False), *lines).total_tax == 23


def test_the_rest_of_rounding_is_borne_by_the_same_line_in_any_order() -> None:
    tables = calculator(rates=RATES, per_line=False)
    lines = [Taxable(number, "reduced", 115) for number in (1, 2, 3)]
    assert tables.evaluate(lines, STORE) == tables.evaluate(lines[::-1], STORE)


def test_a_code_without_a_rate_is_refused_by_line_and_code() -> None:
    with pytest.raises(ValueError, match=r"line 2 has tax code 'luxury'.*reduced"):
        evaluate(calculator(rates=RATES), ("zero", 1), ("luxury", 1))


def test_a_code_without_a_rate_takes_the_default_and_joins_its_row() -> None:
    result = evaluate(calculator(rates=RATES, default_code="standard"), ("luxury", 11900), ("standard", 11900))
    assert [(row.code, row.tax) for row in result.breakup] == [("standard", 3800)]


@pytest.mark.parametrize(("code", "percent"), [("vat25", "25"), ("vat8.1", "8.1"), ("vat0", "0"), ("vat100", "100")])
def test_a_code_that_says_its_percent_is_understood_when_asked_for(code: str, percent: str) -> None:
    result = evaluate(calculator(vat_codes=True), (code, 12500))
    assert [(row.code, str(row.percent)) for row in result.breakup] == [(code, percent)]
    with pytest.raises(ValueError, match=code):
        evaluate(calculator(), (code, 12500))


@pytest.mark.parametrize("code", ["vat", "vat101", "vat-5", "vat1e1", "vatNaN", "VAT25", "vat25 ", "vat٢٥"])
def test_a_code_that_only_looks_like_a_percent_has_no_rate(code: str) -> None:
    with pytest.raises(ValueError, match="line 1"):
        evaluate(calculator(vat_codes=True), (code, 100))


def test_a_rate_in_the_table_goes_before_the_percent_that_a_code_says() -> None:
    assert evaluate(calculator(vat_codes=True, rates={"vat25": "12"}), ("vat25", 11200)).total_tax == 1200


@pytest.mark.parametrize("percent", ["-1", "101", "100.01", "25%", "25,0", "", "NaN", "inf", "1e1", " 5", "0.1234567"])
def test_a_rate_that_is_no_percentage_is_refused_when_the_plugin_is_made(percent: str) -> None:
    with pytest.raises(ValueError, match=r"rates\.standard: .*not a percentage"):
        calculator(rates={"zero": "0", "standard": percent})


def test_a_default_without_a_rate_is_refused_when_the_plugin_is_made() -> None:
    with pytest.raises(ValueError, match=r"default_code 'std' has no rate.*standard"):
        calculator(rates=RATES, default_code="std")


def test_a_misspelt_setting_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"roundings: there is no such setting .*rounding"):
        calculator(roundings="up")


class LosesACent:
    """A calculator whose lines do not sum to its total."""

    name = "broken"

    def evaluate(self, lines: Sequence[Taxable], store: Store) -> TaxResult:
        right = calculator(rates=RATES).evaluate(lines, store)
        return replace(right, by_line=tuple((number, tax // 2) for number, tax in right.by_line))


class ChargesTheFirstLine:
    """A calculator that depends on the order of the lines."""

    name = "broken"

    def evaluate(self, lines: Sequence[Taxable], store: Store) -> TaxResult:
        right = calculator(rates=RATES).evaluate(lines, store)
        by_line = tuple((line.line_no, 0 if place else right.total_tax) for place, line in enumerate(lines))
        return replace(right, by_line=by_line)


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (LosesACent(), "test_the_parts_sum_to_the_whole"),
        (ChargesTheFirstLine(), "test_the_order_of_the_lines_does_not_matter"),
    ],
)
def test_the_contract_notices_a_broken_promise(broken: TaxCalculator, promise: str, tmp_path: Path) -> None:
    suite = TestIncluded()
    with suite.prepared(tmp_path), pytest.raises(AssertionError):
        getattr(suite, promise)(broken)
