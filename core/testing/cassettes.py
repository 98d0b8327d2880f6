"""Cassettes: cases of a plugin as data. One file is one call: what it is given, what it asks, what comes of it.

Name a folder beside the test file on any suite, and each ``*.toml`` or ``*.json`` in it is a test of its own::

    class TestAcme(RetailerContract):
        plugin = Acme
        settings = {"sales_url": "https://back-office.example/sales", "api_key": "env:ACME_KEY"}
        cassettes = "cassettes/"

``cassettes/a_sale.toml``::

    name = "a sale goes to the back office"
    hook = "fulfil_order"                       # or offer = "payment_gateways" and verb = "authorise"

    [arguments.order]                           # the rest is the sample sale of tillhook.core.testing.samples
    order_id = "ord_7"

    [[exchange]]                                # in this order; one that is not asked for, or not listed, fails
    expect.method = "POST"
    expect.url = "https://back-office.example/sales"
    expect.headers = { Authorization = "Bearer {secret}", Idempotency-Key = "ord_7" }
    expect.json = { total = 2399 }              # these fields at least; body = "…" is the whole body
    answer.status = 200                         # the default; 500 and above reach the plugin as NoAnswer
    answer.json = { receipt_number = "A-1" }    # or body = "…", or fault = "not_reached", "no_answer", "half"

    [expect]
    outcome = "Fulfilled"                       # the type of the answer
    answer = { reference = "A-1" }              # some of its fields, or the whole of a text or list
    published = []                              # messages to the bus: topic, key, value; none if not said

Instead of an outcome: ``raises = "Permanent"`` with ``match = "a regular expression"``. A parser or feed reads
``input = "file.csv"`` and gives ``rows`` (every one of them, some of its fields each) or their ``count``; the raw body
of a webhook may be an ``input``, too. ``offered`` picks one of several offered things by its name; ``settings`` stand
in place of the suite's. ``{secret}`` stands for the value of every secret of the settings.
"""

from __future__ import annotations

import inspect
import io
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Final, get_type_hints

import msgspec
import pytest
from msgspec import UNSET

from tillhook.core.roles.outside import Answer, NoAnswer, NotReached, Outside
from tillhook.core.testing.cassette_files import Case, Cassette, Exchange, Expectation, Request, cassettes_in
from tillhook.core.testing.guarding import guarding
from tillhook.core.testing.likeness import differences, nearest, plain, shown
from tillhook.core.testing.outside import Call, RecordingOutside
from tillhook.core.testing.recorder import RECORDER
from tillhook.core.testing.samples import filled, sample
from tillhook.core.testing.subject import PLANTED, Subject, build
from tillhook.hookspecs import Plugin

PATIENCE: Final = 30.0
"""Seconds after which a plugin hangs."""
MAX_ROWS: Final = 100_000
"""Of a parser or feed."""
_PLACE: Final = "{secret}"


class Cassettes:
    """What suites inherit to be given cases as data; see the module."""

    plugin: ClassVar[type[Plugin]]
    settings: ClassVar[Mapping[str, Any]] = {}
    cassettes: ClassVar[str] = ""
    """A folder, relative to the file of the class that names it."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Each cassette is a test of its own, with the name of its file."""
        if "cassette" in metafunc.fixturenames:
            found: Sequence[Cassette | None] = self._found()
            ids = [at.path.name if at else "none" for at in found]
            metafunc.parametrize("cassette", found, ids=ids)

    def _found(self) -> Sequence[Cassette | None]:
        if not self.cassettes:
            return [None]
        named_by = next(at for at in type(self).__mro__ if "cassettes" in vars(at))
        file = sys.modules[named_by.__module__].__file__ or ""
        return cassettes_in(Path(file).parent / self.cassettes)

    def test_a_cassette_plays_to_its_end(self, cassette: Cassette | None, tmp_path: Path) -> None:
        if cassette is None:
            pytest.skip("it has no cassettes")
        told = f"{cassette.path.name}: {cassette.case.name}" if cassette.case else cassette.path.name
        with guarding(PATIENCE) as guard:
            faults = guard.call(told, lambda: play(cassette, self.plugin, self.settings, tmp_path))
        if faults:
            pytest.fail("\n  ".join([told, *faults]), pytrace=False)


class ScriptedOutside(RecordingOutside):
    """Answers what the exchanges say, in their order; keeps what was asked otherwise in ``faults``."""

    def __init__(self, exchanges: Sequence[Exchange]) -> None:
        super().__init__()
        self.exchanges = exchanges
        self.faults: list[str] = []
        self._next = 0

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        content: bytes | None = None,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Answer:
        super().request(method, url, headers=headers, json=json, content=content, idempotency_key=idempotency_key)
        call = self.calls[-1]
        self._next += 1
        if self._next > len(self.exchanges):
            self._refuse([f"call {self._next} is not expected: {_told(call)}"])
        exchange = self.exchanges[self._next - 1]
        found = list(_unlike(exchange.expect, call))
        if found:
            self._refuse([f"exchange {self._next} of {len(self.exchanges)} is asked for otherwise", *found])
        return _answered(exchange, f"{method} {url}")

    def left(self) -> list[str]:
        """The exchanges that nobody asked for."""
        return [
            f"exchange {place} was never asked for: {at.expect.method} {at.expect.url}"
            for place, at in enumerate(self.exchanges[self._next :], start=self._next + 1)
        ]

    def _refuse(self, lines: list[str]) -> None:
        # Kept as well: a plugin may catch what is raised here and go on.
        self.faults += [lines[0], *(f"  {line}" for line in lines[1:])]
        raise AssertionError("\n  ".join(lines))


def play(cassette: Cassette, plugin: type[Plugin], settings: Mapping[str, Any], folder: Path) -> list[str]:
    """Play a cassette to a plugin: one line for each thing that is not as it says; none when all is."""
    return [fault.replace(PLANTED, _PLACE) for fault in _played(cassette, plugin, settings, folder)]


def _played(cassette: Cassette, plugin: type[Plugin], settings: Mapping[str, Any], folder: Path) -> list[str]:
    case = cassette.case
    if case is None:
        return [cassette.fault]
    outside = ScriptedOutside([_with_secrets(at) for at in case.exchange])
    try:
        made = build(plugin, {**settings, **case.settings}, folder)
        arguments = _arguments(cassette, case, outside)
        call = _callable(made, case)
    except ValueError as error:
        return [str(error)]
    answer, raised = None, None
    try:
        answer = call(**arguments) if case.hook else _in_order(case, call, arguments)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is compared with what is expected
        raised = error
    if outside.faults:
        return outside.faults
    found = [*_unmet(case.expect, answer, raised), *outside.left(), *_unsaid(case.expect, outside)]
    if PLANTED in f"{answer!r} {raised!r} {raised} {outside.messages!r}":
        found.append("its answer, exception or message shows a secret of the settings")
    return found


def _arguments(cassette: Cassette, case: Case, outside: RecordingOutside) -> dict[str, Any]:
    hints = {name: hint for name, hint in get_type_hints(case.function).items() if name != "return"}
    if strangers := [name for name in case.arguments if name not in hints]:
        raise ValueError(f"arguments.{strangers[0]}: there is no such argument ({nearest(strangers[0], hints)})")
    found: dict[str, Any] = {}
    for name, hint in hints.items():
        given = case.arguments.get(name, UNSET)
        if hint is Outside:
            found[name] = outside
        elif hint is BinaryIO:
            found[name] = io.BytesIO(cassette.content)
        elif hint is bytes:
            found[name] = cassette.content if given is UNSET else str(given).replace(_PLACE, PLANTED).encode()
        else:
            found[name] = _argument(given, name, hint)
    return found


def _argument(given: Any, name: str, hint: Any) -> Any:
    try:
        return sample(name, hint) if given is UNSET else filled(given, name, hint)
    except (LookupError, ValueError) as error:
        raise ValueError(f"arguments.{error}") from None


def _callable(plugin: Plugin, case: Case) -> Any:
    if case.hook:
        subject = Subject(plugin)
        if case.hook not in subject.hooks:
            raise ValueError(f"hook: the plugin does not implement {case.hook}")
        return lambda **arguments: subject.call(case.hook, **arguments)
    offered = {at.name: at for at in getattr(plugin, case.offer)() or ()}
    if not offered:
        raise ValueError(f"offer: the plugin offers no {case.offer}")
    if case.offered not in offered and (case.offered or len(offered) > 1):
        raise ValueError(f"offered: {case.offered!r} is none of its {case.offer} ({', '.join(offered)})")
    thing = offered[case.offered or next(iter(offered))]
    return getattr(thing, case.function.__name__)


def _in_order(case: Case, verb: Any, arguments: Mapping[str, Any]) -> Any:
    """Call as the core does: by place, except what is declared by name."""
    declared = inspect.signature(case.function).parameters
    named = {name for name, at in declared.items() if at.kind is inspect.Parameter.KEYWORD_ONLY}
    by_place = [at for name, at in arguments.items() if name not in named]
    with RECORDER.call(f"{case.offer}.{case.function.__name__}"):
        return _whole(verb(*by_place, **{name: arguments[name] for name in named}))


def _whole(answer: Any) -> Any:
    """The answer; what comes row by row is read to its end."""
    return list(islice(answer, MAX_ROWS)) if isinstance(answer, Iterator) else answer


def _unmet(expect: Expectation, answer: Any, raised: Exception | None) -> Iterator[str]:
    if expect.raises or raised is not None:
        yield from _raised_otherwise(expect, answer, raised)
        return
    if expect.outcome and type(answer).__name__.removesuffix("Type") != expect.outcome:
        yield f"outcome: expected {expect.outcome}, got {shown(answer)}"
    elif expect.answer is not UNSET:
        yield from differences(_with_secrets(plain(expect.answer)), plain(answer), "answer")
    if expect.rows is not None:
        yield from differences(plain(expect.rows), plain(answer), "rows")
    if expect.count is not None and (not isinstance(answer, Sequence) or len(answer) != expect.count):
        yield f"count: expected {expect.count} rows, got {len(answer) if isinstance(answer, Sequence) else answer!r}"


def _raised_otherwise(expect: Expectation, answer: Any, raised: Exception | None) -> Iterator[str]:
    if raised is None:
        yield f"raises: expected {expect.raises}, got the answer {shown(answer)}"
    elif not expect.raises:
        yield f"it raised {type(raised).__name__}: {raised}"
    elif expect.raises not in {at.__name__ for at in type(raised).__mro__}:
        yield f"raises: expected {expect.raises}, got {type(raised).__name__}: {raised}"
    elif not re.search(expect.match, str(raised)):
        yield f"match: {expect.match!r} is not found in {shown(str(raised))}"


def _unsaid(expect: Expectation, outside: RecordingOutside) -> Iterator[str]:
    wanted = [msgspec.to_builtins(at) for at in expect.published]
    found = [{"topic": at.topic, "key": at.key, "value": msgspec.json.decode(at.value)} for at in outside.messages]
    yield from differences(plain(wanted), found, "published")


def _unlike(expect: Request, call: Call) -> Iterator[str]:
    if (expect.method.upper(), expect.url) != (call.method.upper(), call.url):
        yield f"expected {expect.method.upper()} {expect.url}"
        yield f"got      {call.method.upper()} {call.url}"
    sent = {name.lower(): value for name, value in call.headers.items()}
    if call.idempotency_key is not None:
        sent["idempotency-key"] = call.idempotency_key
    yield from differences({name.lower(): value for name, value in expect.headers.items()}, sent, "headers")
    if expect.json is not UNSET:
        try:
            yield from differences(plain(expect.json), msgspec.json.decode(call.body), "json")
        except msgspec.DecodeError as error:
            yield f"json: the body is none: {error}"
    if expect.body is not None:
        yield from differences(expect.body, call.body.decode(errors="replace"), "body")


def _answered(exchange: Exchange, asked: str) -> Answer:
    reply = exchange.answer
    if reply.fault == "not_reached":
        raise NotReached(f"{asked}: nobody was there")
    if reply.fault == "no_answer":
        raise NoAnswer(f"{asked}: no answer in time")
    if reply.status >= 500:
        raise NoAnswer(f"{asked}: answered {reply.status}")
    content = reply.content
    headers = {"content-type": "application/json"} if reply.json is not UNSET else {}
    body = content[: len(content) // 2] if reply.fault == "half" else content
    return Answer(reply.status, {**headers, **reply.headers}, body)


def _told(call: Call) -> str:
    return f"{call.method} {call.url} {shown(call.body.decode(errors='replace'))}"


def _with_secrets(value: Any) -> Any:
    """The value with the planted secret wherever ``{secret}`` stands in it."""
    match value:
        case str():
            return value.replace(_PLACE, PLANTED)
        case Mapping():
            return {name: _with_secrets(at) for name, at in value.items()}
        case list() | tuple():
            return type(value)(_with_secrets(at) for at in value)
        case Exchange():
            return msgspec.convert(_with_secrets(msgspec.to_builtins(value)), Exchange)
        case _:
            return value
