"""What every plugin keeps, whatever it is for: right answers for any sale, no secret, nothing past ``outside``."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, ClassVar, Final

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tillhook.core.domain.completed import CompletedOrder
from tillhook.core.domain.problems import Problem
from tillhook.core.domain.store import Store
from tillhook.core.plugins.inspection import faults_of, hooks_of
from tillhook.core.plugins.shapes import fits, promised
from tillhook.core.roles.duties import Permanent
from tillhook.core.roles.grammar import Kind, kind_of
from tillhook.core.roles.outside import Outside, OwnTables
from tillhook.core.testing.arguments import arguments_for
from tillhook.core.testing.cassettes import Cassettes
from tillhook.core.testing.guarding import Guard, guarding
from tillhook.core.testing.outside import RecordingOutside
from tillhook.core.testing.strategies import CURRENCIES, order_of, sales
from tillhook.core.testing.subject import PLANTED, Subject, build
from tillhook.core.testing.tables import own_tables
from tillhook.core.testing.troubles import WITHOUT_ANSWER, Line, Trouble, wording
from tillhook.hookspecs import HOOKS, Plugin

Sale = tuple[CompletedOrder, Store]
_MISSPELT: Final = "no_such_setting_anywhere"
_QUESTIONS: Final = (Kind.QUESTION, Kind.QUESTION_TO_ALL)


class PluginContract(Cassettes):
    """Inherit it, or the suite of your kind of plugin, and name the plugin and its settings::

        class TestAcme(PluginContract):
            plugin = Acme
            settings = {"workstation_id": "900", "api_key": "env:ACME_KEY"}

    Promises about hooks that the plugin does not implement are skipped. A plugin that calls somebody also says how
    that answers (``lend``).
    """

    plugin: ClassVar[type[Plugin]]
    settings: ClassVar[Mapping[str, Any]] = {}
    """As in ``tillhook.toml``; ``{tmp}`` in a text is a folder of the test. Every ``env:NAME`` is a planted secret."""
    currencies: ClassVar[Sequence[str]] = CURRENCIES
    """Of the generated sales."""
    examples: ClassVar[int] = 30
    """Generated sales for each promise."""
    patience: ClassVar[float] = 30.0
    """Seconds after which a hook hangs; nothing is said about one that is merely slow."""
    proves: ClassVar[tuple[str, ...]] = ()
    """Hooks that this suite is for: the plugin must implement one of them."""
    refusals: ClassVar[Sequence[int]] = (401, 403, 404, 408, 425, 429)
    """HTTP statuses with which a duty is not done; leave out one that means "done before" at the other side."""
    repeatable: ClassVar[Collection[str]] = ("mark_epcs_sold", "mark_epcs_unsold")
    """Duties that change nothing when they are done twice, so that their calls need no key to be told apart."""
    switched_off: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Hook → the settings that switch it off: it must then refuse, or leave it, before any call to the world."""

    guard: Guard
    folder: Path
    """Of the running test."""

    def lend(self) -> Outside:
        """What duties may call; override it to answer as the other side does. It is asked anew for each sale."""
        return RecordingOutside()

    @pytest.fixture
    def subject(self, tmp_path: Path) -> Subject:
        return Subject(build(self.plugin, self.settings, tmp_path))

    @pytest.fixture(autouse=True)
    def guarded(self, tmp_path: Path) -> Iterator[None]:
        with self.prepared(tmp_path):
            yield

    @contextmanager
    def prepared(self, folder: Path) -> Iterator[None]:
        """What the promises are tried in: nothing slips out unheard, and own tables are closed at the end."""
        self.folder = folder
        with ExitStack() as self._tables, guarding(self.patience) as self.guard:
            yield

    # --- the class and its settings

    def test_the_plugin_has_no_fault_that_would_keep_it_out(self) -> None:
        assert faults_of(self.plugin) == []

    def test_it_implements_what_this_suite_is_for(self, subject: Subject) -> None:
        if self.proves:
            assert set(subject.hooks) & set(self.proves), f"it implements none of {', '.join(self.proves)}"

    def test_a_misspelt_setting_is_refused_by_name(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=_MISSPELT):
            build(self.plugin, {**self.settings, _MISSPELT: "x"}, tmp_path)

    def test_no_setting_shows_a_secret(self, subject: Subject) -> None:
        plugin = subject.plugin
        assert PLANTED not in f"{plugin!r} {plugin.settings!r} {plugin.settings} {vars(plugin)!r}"

    # --- every hook

    def test_every_offer_is_what_it_says(self, subject: Subject) -> None:
        for hook in self.implemented(subject, Kind.OFFER):
            offered = self.ask(subject, hook)
            assert fits(offered, promised(hook)), f"{hook} offers {offered!r}"
            names = [at.name for at in offered if hasattr(at, "name")]
            assert len(names) == len(set(names)), f"{hook} offers one name twice: {names}"

    def test_every_hook_answers_any_sale_with_what_it_promises(self, subject: Subject) -> None:
        hooks = [hook for hook in subject.hooks if kind_of(HOOKS[hook]).kind is not Kind.OFFER]

        def check(hook: str, arguments: dict[str, Any]) -> None:
            try:
                answer = self.ask(subject, hook, **arguments)
            except Problem:  # a question may refuse what it is asked, in words for the shopper
                assert kind_of(HOOKS[hook]).kind in _QUESTIONS, f"{hook} refuses"
            else:
                assert fits(answer, promised(hook)), f"{hook} answered {answer!r}"

        self.for_each(hooks, subject, check)

    def test_what_is_switched_off_is_not_done(self, tmp_path: Path) -> None:
        if not self.switched_off:
            pytest.skip("it does not declare settings that switch a hook off")
        for hook, off in self.switched_off.items():
            subject = Subject(build(self.plugin, {**self.settings, **off}, tmp_path))

            def check(hook: str, arguments: dict[str, Any], subject: Subject = subject) -> None:
                line = arguments["outside"]
                failure = self.failure_of(subject, hook, arguments)
                assert failure is None or isinstance(failure, Permanent), (
                    f"{hook} raises {failure!r}, to be tried again"
                )
                assert line.calls == [], f"{hook} is switched off and calls {line.calls[0].url}"
                assert line.messages == [], f"{hook} is switched off and publishes to {line.messages[0].topic}"

            self.for_each([hook], subject, check)

    # --- duties

    def test_a_duty_done_twice_is_done_the_same_way(self, subject: Subject) -> None:
        remembers = "tables" in subject.hooks

        def check(hook: str, arguments: dict[str, Any]) -> None:
            line = arguments["outside"]
            first = self.ask(subject, hook, **arguments)
            once = list(line.effects)
            assert self.ask(subject, hook, **arguments) == first, f"{hook} answers otherwise the second time"
            twice = line.effects[len(once) :]
            assert twice == once or (remembers and not twice), f"{hook} says something else the second time"

        self.for_each(self.duties(subject), subject, check)

    def test_the_other_side_can_tell_a_repetition_from_another_sale(self, subject: Subject) -> None:
        """The trap of all duties: without a key, or with the same one for all, a sale is booked twice or never."""

        def check(hook: str, arguments: dict[str, Any]) -> None:
            line = arguments["outside"]
            self.ask(subject, hook, **arguments)
            identity = arguments["refund"].refund_id if "refund" in arguments else arguments["order"].order_id
            if hook not in self.repeatable:
                nameless = [at for at in line.changing if at.idempotency_key is None and identity not in wording(at)]
                assert nameless == [], f"{hook} calls {nameless[0].url} without a key, and without {identity}"
            other = self.line()
            self.ask(subject, hook, **(_of_another(arguments) | {"outside": other}))
            shared = {at.idempotency_key for at in line.changing} & {at.idempotency_key for at in other.changing}
            assert shared <= {None}, f"{hook} sends {shared} for two of them: the second is taken for the first"

        self.for_each(self.duties(subject), subject, check, share=3)

    @pytest.mark.parametrize("trouble", WITHOUT_ANSWER)
    def test_a_duty_that_got_no_answer_does_not_claim_to_be_done(self, subject: Subject, trouble: Trouble) -> None:
        def check(hook: str, arguments: dict[str, Any]) -> None:
            for line in self.lines_in(trouble, subject, hook, arguments):
                failure = self.failure_of(subject, hook, arguments | {"outside": line})
                if line.cut is not None:
                    assert failure is not None, f"{hook} claims to be done after {trouble}"
                    assert not isinstance(failure, Permanent), f"{hook} gives up after {trouble}, which may pass"

        self.for_each(self.duties(subject), subject, check, share=3)

    def test_a_duty_that_was_refused_does_not_claim_to_be_done(self, subject: Subject) -> None:
        def check(hook: str, arguments: dict[str, Any]) -> None:
            for status in self.refusals:
                line = self.line().trouble(status)
                failure = self.failure_of(subject, hook, arguments | {"outside": line})
                assert line.cut is None or failure is not None, f"{hook} claims to be done, and was answered {status}"

        self.for_each(self.duties(subject), subject, check, share=3)

    def test_half_an_answer_is_not_taken_for_a_whole_one(self, subject: Subject) -> None:
        """A plugin that reads nothing of the answer may be content with half of it."""

        def check(hook: str, arguments: dict[str, Any]) -> None:
            whole = self.ask(subject, hook, **(arguments | {"outside": self.line()}))
            for line in self.lines_in(Trouble.HALF_AN_ANSWER, subject, hook, arguments):
                try:
                    answer = self.ask(subject, hook, **(arguments | {"outside": line}))
                except AssertionError:
                    raise
                except Exception:  # noqa: BLE001, S112 - it was noticed, whatever it is called
                    continue
                assert answer == whole, f"{hook} makes {answer!r} of half an answer, and {whole!r} of the whole one"

        self.for_each(self.duties(subject), subject, check, share=3)

    @pytest.mark.parametrize("trouble", Trouble)
    def test_when_the_world_is_well_again_a_duty_is_done_once_more_under_the_same_key(
        self, subject: Subject, trouble: Trouble
    ) -> None:
        def check(hook: str, arguments: dict[str, Any]) -> None:
            well = self.line()
            self.ask(subject, hook, **(arguments | {"outside": well}))
            for line in self.lines_in(trouble, subject, hook, arguments):
                failed = self.failure_of(subject, hook, arguments | {"outside": line})
                tried = len(line.calls)
                answer = self.ask(subject, hook, **(arguments | {"outside": line.mend()}))
                assert fits(answer, promised(hook)), f"{hook} answered {answer!r}"
                if failed is not None and line.cut is not None:
                    assert line.repeats(line.cut, since=tried), f"{hook} does not repeat its call after {trouble}"
                    new = [at for at in line.effects if at not in well.effects]
                    assert new == [], f"{hook} says something else, or under another key, after {trouble}"

        self.for_each(self.duties(subject), subject, check, share=3)

    # --- news

    def test_news_that_is_told_twice_does_no_harm(self, subject: Subject) -> None:
        hooks = self.implemented(subject, Kind.NEWS)
        if not hooks:
            pytest.skip("it does not implement any news")

        def check(hook: str, arguments: dict[str, Any]) -> None:
            before = dict(vars(subject.plugin))
            for _ in range(2):
                assert self.ask(subject, hook, **arguments) is None, f"{hook} answers, and nobody asked"
            assert vars(subject.plugin) == before, f"{hook} changes the plugin, which serves many threads"

        self.for_each(hooks, subject, check)

    # --- words of the suites

    def for_any(
        self, *given_by: st.SearchStrategy[Any], share: int = 1
    ) -> Callable[[Callable[..., None]], Callable[[], None]]:
        """Runs a check with ``examples`` generated cases, or a share of them."""
        examples = max(1, self.examples // share)
        phases = [at for at in settings().phases if at is not Phase.explain]  # it would take a minute, and say little
        quietly = settings(
            deadline=None, max_examples=examples, suppress_health_check=tuple(HealthCheck), phases=phases
        )
        return lambda check: quietly(given(*given_by)(check))

    def any_sale(self) -> st.SearchStrategy[Sale]:
        """The sales that the promises are tried with; override it for a retailer whose sales are of a special form."""
        return sales(self.currencies)

    def implemented(self, subject: Subject, kind: Kind) -> list[str]:
        return [hook for hook in subject.hooks if kind_of(HOOKS[hook]).kind is kind]

    def needs(self, subject: Subject, *hooks: str) -> None:
        """Skip the test unless the plugin implements one of the hooks."""
        if not set(hooks) & set(subject.hooks):
            pytest.skip(f"it does not implement {' or '.join(hooks)}")

    def duties(self, subject: Subject) -> list[str]:
        """The plugin's duties; without any the test is skipped."""
        duties = self.implemented(subject, Kind.DUTY)
        if not duties:
            pytest.skip("it does not implement any duty")
        return duties

    def for_each(
        self, hooks: Sequence[str], subject: Subject, check: Callable[[str, dict[str, Any]], None], share: int = 1
    ) -> None:
        """Run ``check`` for each hook with the arguments of generated sales, and a line to the world as ``outside``."""

        @self.for_any(self.any_sale(), st.data(), share=share)
        def check_each(sale: Sale, data: st.DataObject) -> None:
            for hook in hooks:
                line = self.line()
                arguments = data.draw(arguments_for(hook, self.numbered(subject, sale), line), hook)
                check(hook, {"outside": line, **arguments})
            self._tables.close()

        check_each()

    def line(self) -> Line:
        """A line to what ``lend`` lends, with fresh tables if the plugin has tables of its own."""
        if "tables" not in hooks_of(self.plugin):
            return Line(self.lend())
        return Line(self.lend(), self._fresh_tables)

    def _fresh_tables(self) -> OwnTables:
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        tables = self._tables.enter_context(own_tables(build(self.plugin, self.settings, folder), folder))
        assert tables is not None, f"{self.plugin.__name__} declares no tables with these settings"
        return tables

    def lines_in(self, trouble: Trouble, subject: Subject, hook: str, arguments: dict[str, Any]) -> Iterator[Line]:
        """A line for each call that the hook makes when all is well; on each, that call is the first to go wrong."""
        well = self.line()
        self.ask(subject, hook, **(arguments | {"outside": well}))
        for after in range(len(well.calls)):
            yield self.line().trouble(trouble, after)

    def numbered(self, subject: Subject, sale: Sale) -> Sale:
        """The sale with its transaction number written as the plugin writes it."""
        order, store = sale
        written: str | None = None
        if "transaction_id_for" in subject.hooks:
            number = order.transaction_number
            written = self.ask(subject, "transaction_id_for", order=order_of(order), number=number, store=store)
        return replace(order, transaction_id_poslog=written or str(order.transaction_number)), store

    def ask(self, subject: Subject, hook: str, **arguments: Any) -> Any:
        """Call a hook; whatever it lets slip, or that it hangs, breaks the promise at hand."""
        what = f"{type(subject.plugin).__name__}.{hook}"
        line = arguments.get("outside")
        told = line.told if isinstance(line, Line) else str
        return self.guard.call(what, lambda: subject.call(hook, **arguments), told)

    def failure_of(self, subject: Subject, hook: str, arguments: dict[str, Any]) -> Exception | None:
        """What a hook raises; a broken promise of this suite is no answer and passes."""
        try:
            self.ask(subject, hook, **arguments)
        except AssertionError:
            raise
        except Exception as failure:  # noqa: BLE001 - whatever it is, it was raised
            return failure
        return None


def _of_another(arguments: dict[str, Any]) -> dict[str, Any]:
    """The same sale, but another one; of a refund, another refund of the same sale."""
    if "refund" in arguments:
        refund = arguments["refund"]
        return arguments | {"refund": replace(refund, refund_id=f"{refund.refund_id}_2")}
    order = arguments["order"]
    return arguments | {"order": replace(order, order_id=f"{order.order_id}_2", o_id=order.o_id + 1)}
