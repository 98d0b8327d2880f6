"""What every tax calculator keeps: the parts sum to the whole, and the order of the lines does not matter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import strategies as st

from tillhook.core.domain.store import Store
from tillhook.core.domain.tax import Taxable, TaxResult
from tillhook.core.roles.offers import TaxCalculator
from tillhook.core.testing.contracts.offered import OfferedContract
from tillhook.core.testing.strategies import stores, taxables
from tillhook.core.testing.subject import Subject, build


class TaxContract(OfferedContract):
    """Inherit it and name the plugin, its settings and the tax codes that it knows::

    class TestAcmeTax(TaxContract):
        plugin = AcmeTax
        settings = {"rates": {"standard": "20"}}
        codes = ("standard",)
    """

    proves = ("tax_calculators",)
    offer = "tax_calculators"
    calculator_name: ClassVar[str] = ""
    """Which calculator, for a plugin that offers several."""
    codes: ClassVar[Sequence[str]]
    unknown_code: ClassVar[str | None] = "no-such-code"
    """A tax code that must be refused; None for a calculator that taxes every code."""

    @pytest.fixture
    def calculator(self, subject: Subject) -> TaxCalculator:
        found: TaxCalculator = self.picked(subject, self.calculator_name)
        return found

    def test_it_is_a_calculator_with_a_name(self, calculator: TaxCalculator) -> None:
        assert isinstance(calculator, TaxCalculator)
        assert calculator.name

    def test_the_parts_sum_to_the_whole(self, calculator: TaxCalculator) -> None:
        @self.for_any(taxables(self.codes), stores())
        def check(lines: Sequence[Taxable], store: Store) -> None:
            result = self.evaluate(calculator, lines, store)
            assert isinstance(result, TaxResult)
            assert sum(tax for _, tax in result.by_line) == result.total_tax
            assert sum(row.tax for row in result.breakup) == result.total_tax
            assert sorted(number for number, _ in result.by_line) == sorted(line.line_no for line in lines)

        check()

    def test_the_taxable_amounts_are_the_prices_without_the_tax(self, calculator: TaxCalculator) -> None:
        @self.for_any(taxables(self.codes), stores())
        def check(lines: Sequence[Taxable], store: Store) -> None:
            result = self.evaluate(calculator, lines, store)
            charged = sum(line.amount for line in lines)
            taxed = sum(row.taxable for row in result.breakup)
            assert taxed == (charged - result.total_tax if result.included else charged)

        check()

    def test_each_level_of_tax_stands_in_one_row(self, calculator: TaxCalculator) -> None:
        @self.for_any(taxables(self.codes), stores())
        def check(lines: Sequence[Taxable], store: Store) -> None:
            rows = [(row.code, row.label) for row in self.evaluate(calculator, lines, store).breakup]
            assert len(rows) == len(set(rows))

        check()

    def test_the_same_lines_have_the_same_tax(self, calculator: TaxCalculator, tmp_path: Path) -> None:
        other = self.picked(Subject(build(self.plugin, self.settings, tmp_path)), self.calculator_name)

        @self.for_any(taxables(self.codes), stores())
        def check(lines: Sequence[Taxable], store: Store) -> None:
            first = self.evaluate(calculator, lines, store)
            assert self.evaluate(calculator, lines, store) == first
            assert self.evaluate(other, lines, store) == first

        check()

    def test_the_order_of_the_lines_does_not_matter(self, calculator: TaxCalculator) -> None:
        @self.for_any(taxables(self.codes), stores(), st.randoms(use_true_random=False))
        def check(lines: Sequence[Taxable], store: Store, random: Any) -> None:
            shuffled = list(lines)
            random.shuffle(shuffled)
            one, other = self.evaluate(calculator, lines, store), self.evaluate(calculator, shuffled, store)
            assert dict(one.by_line) == dict(other.by_line)
            assert set(one.breakup) == set(other.breakup)
            assert one.total_tax == other.total_tax

        check()

    def test_what_costs_nothing_bears_no_tax(self, calculator: TaxCalculator) -> None:
        @self.for_any(taxables(self.codes), stores())
        def check(lines: Sequence[Taxable], store: Store) -> None:
            free = [Taxable(line.line_no, line.tax_code, 0) for line in lines]
            assert self.evaluate(calculator, free, store).total_tax == 0

        check()

    def test_no_lines_bear_no_tax(self, calculator: TaxCalculator) -> None:
        @self.for_any(stores())
        def check(store: Store) -> None:
            result = self.evaluate(calculator, (), store)
            assert (result.total_tax, result.by_line) == (0, ())

        check()

    def test_a_code_without_a_rate_is_refused_with_the_number_of_its_line(self, calculator: TaxCalculator) -> None:
        code = self.unknown_code
        if code is None:
            pytest.skip("it has no tax code that it refuses")

        @self.for_any(stores())
        def check(store: Store) -> None:
            with pytest.raises(ValueError, match="417"):
                self.evaluate(calculator, [Taxable(417, code, 100)], store)

        check()

    # --- words of this suite

    def evaluate(self, calculator: TaxCalculator, lines: Sequence[Taxable], store: Store) -> TaxResult:
        return self.use("evaluate", lambda: calculator.evaluate(lines, store))
