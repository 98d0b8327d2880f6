"""The sandbox's books: shared by processes, complete after a kill, never half-written."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tillhook_sandbox import Ledger
from tillhook_sandbox.ledger import Movement

PAY_AND_WAIT = """
    import sys
    from tillhook import Money, PaymentRequest
    from tillhook_sandbox import Sandbox, SandboxSettings
    from tillhook.core.testing.outside import RecordingOutside

    gateway, = Sandbox(SandboxSettings(ledger=sys.argv[1])).payment_gateways()
    for number in range(int(sys.argv[2])):
        gateway.authorise(
            PaymentRequest(operation_id="op", merchant_reference=f"pay_{number}", idempotency_key=f"k{number}",
                           amount=Money(100, "EUR"), details={"token": "tok_approve"}), RecordingOutside())
    print("done", flush=True)
    sys.stdin.read()
"""


def payer(ledger: Path, payments: int) -> subprocess.Popen[str]:
    """A process that pays, says so, and waits."""
    command = [sys.executable, "-c", textwrap.dedent(PAY_AND_WAIT), str(ledger), str(payments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_what_was_paid_survives_the_killing_of_the_process(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.sqlite3"
    with payer(ledger, 3) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"
        os.kill(process.pid, signal.SIGKILL)
    assert [charge.captures for charge in Ledger(ledger).charges()] == [1, 1, 1]


def test_processes_that_share_a_ledger_charge_each_key_once(tmp_path: Path) -> None:
    ledger = tmp_path / "new" / "ledger.sqlite3"
    processes = [payer(ledger, 20) for _ in range(4)]
    for process in processes:
        output, _ = process.communicate("")
        assert (process.returncode, output) == (0, "done\n")
    assert [charge.captures for charge in Ledger(ledger).charges()] == [1] * 20


def test_a_ledger_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(RuntimeError, match="file/ledger"):
        Ledger(tmp_path / "file" / "ledger").charges()
    (tmp_path / "other").write_text("This is not a database. " * 100)
    with pytest.raises(RuntimeError, match="other cannot be opened"):
        Ledger(tmp_path / "other").charges()


def test_a_failed_decision_leaves_no_trace(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite3")

    def fail_halfway() -> None:
        with ledger.writing() as book:
            book.move("sbx_1", Movement.CAPTURE, 1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_halfway()
    with ledger.writing() as book:
        assert book.moved("sbx_1", Movement.CAPTURE) == 0
