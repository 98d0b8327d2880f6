"""``tillhook certify``: what is proven of a plugin, signed, and shown in a way that one can act on."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tillhook.core.cli.faults import Trouble, Unusable
from tillhook.core.cli.output import say, show_json, show_table, warn
from tillhook.core.cli.session import Session, pass_session

if TYPE_CHECKING:
    from joserfc.jwk import OKPKey

    from tillhook.core.config.system import Certificates
    from tillhook.core.plugins.certificate import Certificate
    from tillhook.core.plugins.discovery import Found
    from tillhook.core.testing.certifying import Target
    from tillhook.core.testing.running import Run

TIERS = ("bronze", "silver", "gold")
NEEDED = ("pytest", "hypothesis")
_OUTCOMES = ("passed", "skipped", "failed")


@click.command()
@click.argument("package")
@click.option("--tests", type=click.Path(path_type=Path, file_okay=False), help="Its tests, if they are elsewhere.")
@click.option("--at-least", type=click.Choice(TIERS), help="Exit code 1 for less; default: for no tier at all.")
@click.option("--verify", is_flag=True, help="Run nothing: PACKAGE is a certificate's file; does it count here?")
@click.option("--json", "as_json", is_flag=True, help="A list of the certificates, for a build.")
@pass_session
def certify(
    session: Session, package: str, tests: Path | None, at_least: str | None, verify: bool, as_json: bool
) -> None:
    """Run the suites of PACKAGE and write a signed certificate of what they prove.

    PACKAGE is a plugin's or distribution's name, or the folder of its project. `docs/tiers.md` has the rules of each
    tier; all of them are checked here. `tillhook plugins` shows the tier while the installed code is the certified one.
    It runs the plugin's own tests on this machine: do so only with code that you would run anyway.

    \b
    Examples:
      tillhook certify ./acme
      tillhook certify acme --at-least silver
      tillhook certify --verify certificates/acme.json
    """
    settings = _settings(session)
    wanted = at_least or TIERS[0]
    if verify:
        if tests or as_json:
            raise click.UsageError("--verify runs nothing, so it takes neither --tests nor --json")
        _verify(Path(package), settings, wanted)
        return
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise Unusable(f"the suites need {' and '.join(missing)}: pip install 'tillhook[testing]'")
    _certify(package, tests, settings, wanted, as_json=as_json)


def _settings(session: Session) -> Certificates:
    """Of the configuration; a plugin's own project has none, and needs none."""
    from tillhook.core.config.loading import named_or_here
    from tillhook.core.config.system import Certificates

    return session.configuration().system.certificates if named_or_here(session.file) else Certificates()


def _certify(package: str, tests: Path | None, settings: Certificates, wanted: str, *, as_json: bool) -> None:
    from tillhook.core.plugins.certificate import Tier, key_at
    from tillhook.core.testing.certifying import Refused, targets
    from tillhook.core.testing.running import import_milliseconds, run_tests

    try:
        found = targets(package, tests)
        key = key_at(Path(settings.key_file))
    except (LookupError, ValueError) as error:
        raise Unusable(str(error)) from error
    Path(settings.folder).mkdir(parents=True, exist_ok=True)
    running, importing = cache(run_tests), cache(import_milliseconds)
    short, made = [], []
    for target in found:
        if isinstance(target, Refused):
            short.append(str(target))
            continue
        if not running.cache_info().currsize:
            warn(f"running {target.tests} …")
        try:
            imported = importing(target.home.name)
        except ValueError as error:
            raise Trouble(f"{target.found}: {error}") from error
        one, file = _certified(target, running(target.tests, target.project), imported, settings, key)
        made.append(one)
        if not as_json:
            _show(one, file, key.thumbprint())
        if not one.tier.reaches(Tier(wanted)):
            short.append(f"{one.plugin} is {one.tier.value}, not {wanted}")
    if as_json:
        show_json(made)
    if short:
        raise Trouble("; ".join(short))


def _certified(
    target: Target, run: Run, imported: float, settings: Certificates, key: OKPKey
) -> tuple[Certificate, Path]:
    """What the suites and the package show, and the file that says so."""
    from tillhook.app import utc_now
    from tillhook.core.plugins.certificate import file_of, signed
    from tillhook.core.testing.certifying import certificate
    from tillhook.core.testing.evidence import evidence

    seen = evidence(target.plugin, target.home, target.found.distribution, target.project, run, target.others, imported)
    if seen.failures:
        click.echo(run.said.rstrip(), err=True)
    made = certificate(target, seen, utc_now())
    file = file_of(settings.folder, made.plugin)
    draft = file.with_suffix(".draft")
    draft.write_bytes(signed(made, key))
    draft.replace(file)
    return made, file


def _show(made: Certificate, file: Path, thumbprint: str) -> None:
    say(f"{made.plugin} {made.version} ({made.distribution}): {made.tier.value}\n")
    rows = [(one.tier.value, one.rule, "ok" if one.kept else "fail", one.found) for one in made.rules]
    show_table(("Tier", "Rule", "Result", "Found"), rows)
    say()
    asked = [(name, counts) for name, counts in sorted(made.suites.items()) if any(counts.values())]
    counted = [(name, *(counts[at] for at in _OUTCOMES)) for name, counts in asked]
    show_table(("Suite", *map(str.capitalize, _OUTCOMES)), counted, nothing="no contract suite is in its tests")
    above = next((one.tier for one in made.rules if not one.kept), None)
    if above:
        lacking = [one.rule for one in made.rules if one.tier is above and not one.kept]
        say(f"\nFor {above.value}: {', '.join(lacking)}.")
    say(f"\n{file}: signed with the key {thumbprint}")


def _verify(file: Path, settings: Certificates, wanted: str) -> None:
    """Whether a certificate is signed by a key that is trusted here, and of the code that is installed here."""
    from tillhook.core.plugins.certificate import Tier, differs, read, trusted_here
    from tillhook.core.plugins.discovery import discover

    try:
        held = read(file, trusted_here(settings.key_file, settings.trusted))
    except ValueError as error:
        raise Unusable(str(error)) from error
    found = held.certificate
    if held.reason:
        raise Trouble(f"{file}: {held.reason}")
    here = next((one for one in discover() if one.name == found.plugin), None)
    if here is not None and (reason := differs(found, here.name, here.version, module_of(here))):
        raise Trouble(f"{file}: {reason}")
    compared = "the code that is installed here" if here else "not installed here, so its code was not compared"
    say(f"{file}: {found.plugin} {found.version} is {found.tier.value}, by the key {held.thumbprint} ({compared})")
    if not found.tier.reaches(Tier(wanted)):
        raise Trouble(f"{found.plugin} is {found.tier.value}, not {wanted}")


def tiers_of(settings: Certificates, found: Iterable[Found]) -> dict[str, tuple[str, str]]:
    """Plugin → its tier (empty without a certificate), and why its certificate does not count."""
    from tillhook.core.plugins.certificate import file_of, tier_of, trusted_here

    try:
        trusted, unusable = trusted_here(settings.key_file, settings.trusted), ""
    except (ValueError, OSError) as error:
        trusted, unusable = frozenset(settings.trusted), str(error)
    tiers = {}
    for one in found:
        tier, reason = tier_of(settings.folder, one.name, one.version, module_of(one), trusted)
        certified = file_of(settings.folder, one.name).exists() and not reason
        tiers[one.name] = (tier.value if certified else "", f"{reason} ({unusable})" if reason and unusable else reason)
    return tiers


def module_of(found: Found) -> str:
    """Where a plugin's class is."""
    return found.value.partition(":")[0].strip()
