"""The evidence for a tier: what the report of the suites says, and what the package shows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from tillhook.core.domain.payment import Verb
from tillhook.core.plugins.docstrings import meanings
from tillhook.core.plugins.home import Home
from tillhook.core.plugins.inspection import hooks_of
from tillhook.core.testing import contracts
from tillhook.core.testing.reasons import what_to_do
from tillhook.core.testing.running import Run
from tillhook.core.testing.source import behind_the_face, ways_round
from tillhook.core.testing.tiers import Evidence, Gateway, fault_named
from tillhook.core.testing.world_phases import Phase
from tillhook.hookspecs import Plugin

Test = Mapping[str, Any]
_GATEWAYS: Final = "payment_gateways"
_REFUSES: Final = ("before_any_call", "unless_declared")
"""How the names of promises end that something is refused."""
_BEST_FIRST: Final = ("passed", "skipped", "failed")
_CASES: Final = {f"{verb.value.lower()}-{phase.value}": fault_named(verb, phase) for verb in Verb for phase in Phase}
_LICENCE: Final = "License :: "


def name_of(plugin: type[Plugin]) -> str:
    """As the report names the plugin under test."""
    return f"{plugin.__module__}:{plugin.__qualname__}"


def evidence(
    plugin: type[Plugin], home: Home, distribution: str, project: Path, run: Run, others: Iterable[str], imported: float
) -> Evidence:
    """Everything that the rules look at.

    ``others`` are the names of the distribution's other plugins, whose suites are not this one's; ``imported`` are the
    milliseconds that its import took.
    """
    tests = [test for test in run.tests if test["plugin"] not in set(others)]
    promises = [test for test in tests if test["contracts"] and test["plugin"] == name_of(plugin)]
    information = metadata.metadata(distribution)
    return Evidence(
        hooks=hooks_of(plugin),
        exercised=frozenset(name for test in promises for name in test["called"]),
        never_picked=_never_picked(promises),
        suites=_suites(promises),
        not_asked=_not_asked(promises),
        failures=(*([run.fault] if run.fault else []), *_of_another_copy(promises, home), *_failed(tests)),
        left_out=_left_out(promises),
        own_tests=sum(test["outcome"] == "passed" for test in tests if not test["contracts"]),
        cassettes=sum("cassette" in test["name"] and test["outcome"] == "passed" for test in promises),
        gateways={name: _gateway(name, promises) for name in sorted(_picked(promises, _GATEWAYS))},
        behind_the_face=tuple(behind_the_face(home)),
        ways_round=tuple(ways_round(home)),
        milliseconds=_slowest(promises),
        import_milliseconds=imported,
        declared_version=_declared_version(plugin),
        typed=home.is_package and (home.folder / "py.typed").is_file(),
        is_package=home.is_package,
        readme=_readme(project, information),
        settings=plugin.Settings.__struct_fields__,
        documented_settings=_documented(plugin),
        licence=_licence(information),
        requires=tuple(metadata.requires(distribution) or ()),
    )


def promises_of(contract: str) -> set[str]:
    """The names of a suite's promises."""
    return {name for name in dir(getattr(contracts, contract)) if name.startswith("test_")}


# --- what the report says


def _suites(promises: Iterable[Test]) -> dict[str, dict[str, int]]:
    """Every suite that was inherited; a promise counts for the one that it comes from."""
    found: dict[str, dict[str, int]] = {}
    for test in promises:
        inherited = [name for name in reversed(test["contracts"]) if name in contracts.__all__]
        for name in inherited:
            found.setdefault(name, dict.fromkeys(_BEST_FIRST, 0))
        owner = next((name for name in inherited if hasattr(getattr(contracts, name), test["name"])), None)
        if owner:
            found[owner][test["outcome"]] += 1
    return found


def _not_asked(promises: Iterable[Test]) -> tuple[str, ...]:
    """Promises of its suites of which no test bears witness: overridden, deselected or marked by the author."""
    asked: dict[str, set[str]] = {}
    for test in promises:
        for contract in test["contracts"]:
            asked.setdefault(contract, set()).update({test["name"]} if test["as_written"] else ())
    missing: dict[str, None] = {}
    for contract in contracts.__all__:
        if contract in asked:
            missing |= dict.fromkeys(sorted(promises_of(contract) - asked[contract]))
    return tuple(missing)


def _of_another_copy(promises: Iterable[Test], home: Home) -> tuple[str, ...]:
    """What is tested must be what is certified."""
    own = {file.resolve() for _, file in home.files()}
    others = sorted({test["file"] or "nowhere" for test in promises if Path(test["file"] or "").resolve() not in own})
    return tuple(f"the tests are of another copy of it ({at}), installed is {home.origin}" for at in others)


def _failed(tests: Iterable[Test]) -> tuple[str, ...]:
    return tuple(test["nodeid"] for test in tests if test["outcome"] == "failed")


def _left_out(promises: Iterable[Test]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for test in promises:
        if test["outcome"] == "skipped" and (todo := what_to_do(test["reason"])):
            found[todo] = None
        if test["examples"] and test["examples"][0] < test["examples"][1]:
            found[f"leave `examples` of {test['class']} at {test['examples'][1]}"] = None
    return tuple(found)


def _picked(promises: Iterable[Test], hook: str) -> set[str]:
    return {name for test in promises for name in test["picked"].get(hook, ())}


def _never_picked(promises: Sequence[Test]) -> tuple[str, ...]:
    offered = sorted({(hook, name) for test in promises for hook, names in test["offered"].items() for name in names})
    return tuple(f"{hook}: {name}" for hook, name in offered if name not in _picked(promises, hook))


def _gateway(name: str, promises: Iterable[Test]) -> Gateway:
    declares: list[Mapping[str, Any]] = []
    faults: dict[str, str] = {}
    refusals: dict[str, str] = {}
    for test in promises:
        picked = test["picked"].get(_GATEWAYS, {})
        if name not in picked:
            continue
        if picked[name] not in declares:
            declares.append(picked[name])
        outcome = test["outcome"]
        if outcome == "skipped" and not what_to_do(test["reason"]):
            continue  # it does not declare what this is about
        case = _CASES.get(test["nodeid"].rpartition("[")[2].removesuffix("]"))
        if case:
            faults[case] = _worse(outcome, faults.get(case))
        if test["name"].endswith(_REFUSES):
            refusals[test["name"]] = _worse(outcome, refusals.get(test["name"]))
    return Gateway(declares=tuple(declares), faults=faults, refusals=refusals)


def _worse(one: str, other: str | None) -> str:
    return max(one, other or one, key=_BEST_FIRST.index)


def _slowest(promises: Iterable[Test]) -> dict[str, float]:
    """Hook or verb → the slowest call but the slowest twentieth, which is one at least of three or more (ms)."""
    calls: dict[str, list[float]] = {}
    for test in promises:
        for name, taken in test["called"].items():
            calls.setdefault(name, []).extend(taken)
    return {name: sorted(taken)[_but_few(len(taken))] for name, taken in sorted(calls.items()) if taken}


def _but_few(count: int) -> int:
    return count - 1 - max(count // 20, 1 if count > 2 else 0)


# --- what the package shows


def _declared_version(plugin: type[Plugin]) -> int | None:
    """None: it leaves it to tillhook, and so means whatever hooks are installed."""
    owner = next(kind for kind in plugin.__mro__ if "hookspec_version" in vars(kind))
    return None if owner is Plugin else plugin.hookspec_version


def _documented(plugin: type[Plugin]) -> tuple[str, ...]:
    try:
        return tuple(meanings(plugin.Settings))
    except (OSError, TypeError, SyntaxError):  # a class that was made by a program has no source
        return ()


def _readme(project: Path, information: Any) -> str:
    file = project / "README.md"
    return file.read_text(encoding="utf-8") if file.is_file() else str(information.get_payload() or "")


def _licence(information: Any) -> str:
    named = information.get("License-Expression") or information.get("License") or ""
    classified = [at for at in information.get_all("Classifier") or () if at.startswith(_LICENCE)]
    return re.sub(r"\s+", " ", named or (classified[0].removeprefix(_LICENCE) if classified else ""))[:100].strip()
