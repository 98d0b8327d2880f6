"""What every tax calculator keeps: the parts sum to the whole, and the order of the lines does not matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tillhook.core.domain.store import Store
from tillhook.core.domain.tax import Taxable, TaxResult
from tillhook.core.roles.offers import TaxCalculator
from tillhook.core.testing.strategies import stores, taxables
from tillhook.core.testing.subject import build
from tillhook.hookspecs import Plugin

_quietly = settings(deadline=None)


class TaxContract:
    """Inherit it and name the plugin, its settings and the tax codes that it knows::

    class TestAcmeTax(TaxContract):
        plugin = AcmeTax
        settings = {"rates": {"standard": "20"}}
        codes = ("standard",)
    """

    plugin: ClassVar[type[Plugin]]
    settings: ClassVar[Mapping[str, Any]] = {}
    calculator_name: ClassVar[str] = ""
    """Which calculator, for a plugin that offers several."""
    codes: ClassVar[Sequence[str]]
    unknown_code: ClassVar[str | None] = "no-such-code"
    """A tax code that must be refused; None for a calculator that taxes every code."""

    @pytest.fixture
    def calculator(self, tmp_path: Path) -> TaxCalculator:
        offered = build(self.plugin, self.settings, tmp_path).tax_calculators()
        named = [at for at in offered if self.calculator_name in ("", at.name)]
        assert len(named) == 1, f"calculator_name must pick one of {[at.name for at in offered]}"
        return named[0]

    def test_it_is_a_calculator_with_a_name(self, calculator: TaxCalculator) -> None:
        assert isinstance(calculator, TaxCalculator)
        assert calculator.name

    def test_the_parts_sum_to_the_whole(self, calculator: TaxCalculator) -> None:
        @_quietly
        @given(taxables(self.codes), stores())
        def check(lines: Sequence[Taxable], store: Store) -> None:
            result = calculator.evaluate(lines, store)
            assert isinstance(result, TaxResult)
            assert sum(tax for _, tax in result.by_line) == result.total_tax
            assert sum(row.tax for row in result.breakup) == result.total_tax
            assert sorted(number for number, _ in result.by_line) == sorted(line.line_no for line in lines)

        check()

    def test_the_taxable_amounts_are_the_prices_without_the_tax(self, calculator: TaxCalculator) -> None:
        @_quietly
        @given(taxables(self.codes), stores())
        def check(lines: Sequence[Taxable], store: Store) -> None:
            result = calculator.evaluate(lines, store)
            charged = sum(line.amount for line in lines)
            taxed = sum(row.taxable for row in result.breakup)
            assert taxed == (charged - result.total_tax if result.included else charged)

        check()

    def test_each_level_of_tax_stands_in_one_row(self, calculator: TaxCalculator) -> None:
        @_quietly
        @given(taxables(self.codes), stores())
        def check(lines: Sequence[Taxable], store: Store) -> None:
            rows = [(row.code, row.label) for row in calculator.evaluate(lines, store).breakup]
            assert len(rows) == len(set(rows))

        check()

    def test_the_order_of_the_lines_does_not_matter(self, calculator: TaxCalculator) -> None:
        @_quietly
        @given(taxables(self.codes), stores(), st.randoms(use_true_random=False))
        def check(lines: Sequence[Taxable], store: Store, random: Any) -> None:
            shuffled = list(lines)
            random.shuffle(shuffled)
            one, other = calculator.evaluate(lines, store), calculator.evaluate(shuffled, store)
            assert dict(one.by_line) == dict(other.by_line)
            assert set(one.breakup) == set(other.breakup)
            assert one.total_tax == other.total_tax

        check()

    def test_what_costs_nothing_bears_no_tax(self, calculator: TaxCalculator) -> None:
        @_quietly
        @given(taxables(self.codes), stores())
        def check(lines: Sequence[Taxable], store: Store) -> None:
            free = [Taxable(line.line_no, line.tax_code, 0) for line in lines]
            assert calculator.evaluate(free, store).total_tax == 0

        check()

    def test_no_lines_bear_no_tax(self, calculator: TaxCalculator) -> None:
        @settings(deadline=None, max_examples=5)
        @given(stores())
        def check(store: Store) -> None:
            result = calculator.evaluate((), store)
            assert (result.total_tax, result.by_line) == (0, ())

        check()

    def test_a_code_without_a_rate_is_refused_with_the_number_of_its_line(self, calculator: TaxCalculator) -> None:
        code = self.unknown_code
        if code is None:
            pytest.skip("the calculator taxes every code")

        @settings(deadline=None, max_examples=5)
        @given(stores())
        def check(store: Store) -> None:
            with pytest.raises(ValueError, match="417"):
                calculator.evaluate([Taxable(417, code, 100)], store)

        check()
