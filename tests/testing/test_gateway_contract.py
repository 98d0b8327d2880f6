"""The suite of payment gateways: the model gateway keeps all of it, and each broken promise is noticed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.testing import broken_gateways, broken_gateways_heard
from tests.testing.gateway_runs import broken_promises, promises
from tests.testing.model_gateway import APPROVE, DECLINE, Acmepay, AcmepayGateway, AcmepaySimulator, written
from tillhook import PaymentGateway, hookimpl
from tillhook.core.testing.contracts import PaymentGatewayContract

ROOT = Path(__file__).resolve().parents[2]
HOUSE_RULES = ("--no-cache", "--config", str(ROOT / "pyproject.toml"), "--config", "lint.isort.known-first-party=[]")
"""To the author of a package tillhook is somebody else's."""
BROKEN_ELSEWHERE = {
    # These need a provider without a simulator, or one that takes at once: see plugins/sandbox/tests.
    "test_a_lost_answer_is_never_a_decline_nor_never_sent",
    "test_an_inquiry_settles_what_was_lost",
    "test_a_capture_that_is_not_declared_is_refused_before_any_call",
}


class Suite(PaymentGatewayContract):
    """The author's file, for whichever gateway."""

    settings: ClassVar[Mapping[str, Any]] = {"api_key": "env:ACMEPAY_API_KEY", "webhook_secret": "env:ACMEPAY_SECRET"}
    simulator = AcmepaySimulator
    approve: ClassVar[Mapping[str, Any]] = {"token": APPROVE}
    decline: ClassVar[Mapping[str, Any]] = {"token": DECLINE}


def of(gateway: type[AcmepayGateway]) -> type[Suite]:
    """The suite on a plugin that offers this gateway."""

    class Offering(Acmepay):
        @hookimpl
        def payment_gateways(self) -> Sequence[PaymentGateway]:
            at = self.settings
            return (gateway(at.base_url, at.api_key, at.webhook_secret, at.methods),)

    return type(f"Of{gateway.__name__}", (Suite,), {"plugin": Offering})


VARIANTS = [
    thing
    for module in (broken_gateways, broken_gateways_heard)
    for thing in vars(module).values()
    if isinstance(thing, type) and issubclass(thing, AcmepayGateway) and "breaks" in vars(thing)
]


@pytest.mark.parametrize("broken", VARIANTS, ids=lambda gateway: gateway.__name__)
def test_a_broken_gateway_fails_exactly_the_promises_that_it_breaks(
    broken: type[AcmepayGateway], tmp_path: Path
) -> None:
    changed = {name for name in vars(broken) if callable(getattr(broken, name)) and not name.startswith("__")}
    found = broken_promises(of(broken), tmp_path, webhooks_only=changed == {"read_webhook"})
    assert found.keys() == broken.breaks, "\n".join(f"{promise}: {how}" for promise, how in found.items())


def test_every_promise_of_the_suite_is_broken_by_some_gateway() -> None:
    noticed = {promise for gateway in VARIANTS for promise in gateway.breaks}
    assert set(promises(Suite)) - noticed == BROKEN_ELSEWHERE


def test_the_gateway_that_breaks_none_fails_none(tmp_path: Path) -> None:
    assert broken_promises(of(AcmepayGateway), tmp_path) == {}


# --- the package that the command writes


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("new") / "acmepay")


def test_the_model_gateway_keeps_the_whole_suite(package: Path) -> None:
    ran = run(package, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert " failed" not in ran.stdout
    assert int(ran.stdout.split(" passed")[0].split()[-1]) > 300, "the whole matrix ran"


@pytest.mark.parametrize(
    "check",
    [
        ("ruff", "check", *HOUSE_RULES, "."),
        ("ruff", "format", "--check", *HOUSE_RULES, "."),
        ("mypy", "--strict", "--cache-dir", os.devnull, "src"),
    ],
    ids=["ruff check", "ruff format", "mypy"],
)
def test_the_model_gateway_is_written_as_the_house_is(check: tuple[str, ...], package: Path) -> None:
    tool = shutil.which(check[0], path=str(Path(sys.executable).parent))
    assert tool, f"{check[0]} is not beside {sys.executable}"
    ran = subprocess.run([tool, *check[1:]], cwd=package, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def run(package: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(package / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=package,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
