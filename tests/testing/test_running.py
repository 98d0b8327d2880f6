"""Running somebody's tests: in a clean environment, within bounds, and nothing of them is left afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tillhook.core.testing import running
from tillhook.core.testing.running import MOST_SAID, environment, import_milliseconds, run_tests

PATIENCE = 20
"""Seconds; nothing takes so long unless it hangs."""
TESTS = """
import os, pathlib, subprocess, sys

HERE = pathlib.Path(__file__).parent


def test_of_what_it_runs_in():
    assert [name for name in os.environ if name.startswith(("TILLHOOK_", "PYTEST_ADDOPTS")) or name == "CI"] == []
    assert pathlib.Path.cwd() != HERE
    assert os.read(0, 1) == b""


def test_that_leaves_a_process_behind():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (HERE / "child").write_text(str(child.pid))


def test_that_talks_too_much(capfd):
    with capfd.disabled():
        print("x" * 2_000_000)
        print("the end")
"""


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or merely not yet buried; it may take a moment until it knows that it was killed."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
        if not done.stdout.strip() or done.stdout.strip().startswith("Z"):
            return True
    return False


def test_a_run_is_bounded_and_nothing_of_it_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILLHOOK_DATABASE_URL", "sqlite:///nobody-may-see-this.db")
    monkeypatch.setenv("PYTEST_ADDOPTS", "--no-such-option")
    monkeypatch.setenv("CI", "true")
    (tmp_path / "test_it.py").write_text(TESTS)

    done = run_tests(tmp_path, tmp_path)

    assert done.fault == ""
    assert {test["name"]: test["outcome"] for test in done.tests} == {
        "test_of_what_it_runs_in": "passed",
        "test_that_leaves_a_process_behind": "passed",
        "test_that_talks_too_much": "passed",
    }, done.said
    assert len(done.said) <= MOST_SAID
    assert "the end" in done.said
    assert has_ended(int((tmp_path / "child").read_text()))
    assert sorted(at.name for at in tmp_path.iterdir()) == ["child", "test_it.py"]


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("", "there is no test in "),
        ("import no_such_module_anywhere", "pytest ended with code 2: ERROR "),
        ("import os; os._exit(7)", "pytest ended with code 7: "),
    ],
)
def test_a_run_that_proves_nothing_says_why(tmp_path: Path, source: str, fault: str) -> None:
    (tmp_path / "test_it.py").write_text(source)
    done = run_tests(tmp_path, tmp_path)
    assert done.fault.startswith(fault)
    assert done.tests == ()


def test_a_failing_test_is_no_fault_of_the_run(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_it():\n    assert 'apples' == 'pears'")
    done = run_tests(tmp_path, tmp_path)
    assert (done.fault, [test["outcome"] for test in done.tests]) == ("", ["failed"])
    assert "pears" in done.said


def test_tests_that_hang_are_cut_off(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("import time; time.sleep(600)")
    assert run_tests(tmp_path, tmp_path, patience=0.2).fault == "the tests did not end within 0 s"


def test_a_process_that_holds_the_line_open_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has left its group, so that it cannot be ended with it."""
    monkeypatch.setattr(running, "_LINGERING", 0.2)
    script = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import sys; sys.stdin.read()'], stdin=subprocess.PIPE,\n"
        "                         start_new_session=True)\n"
        "print('parent')\n"
    )
    code, said = running._run([sys.executable, "-u", "-c", script], str(tmp_path), 30)
    assert (code, said) == (0, "parent\n")


def test_relative_paths_of_modules_are_still_found() -> None:
    kept = environment({"PYTHONPATH": os.pathsep.join(["src", "lib"]), "HOME": "here", "TILLHOOK_CONFIG": "x"})
    assert kept == {"PYTHONPATH": os.pathsep.join([str(Path.cwd() / "src"), str(Path.cwd() / "lib")]), "HOME": "here"}


def test_an_import_is_timed_when_tillhook_itself_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "newcomer.py").write_text("import sys\nassert 'tillhook.app' in sys.modules")
    assert import_milliseconds("newcomer") >= 0


def test_a_package_that_cannot_be_imported_alone_is_named() -> None:
    with pytest.raises(ValueError, match=r"'no_such_package' cannot be imported in a process of its own: .*No module"):
        import_milliseconds("no_such_package")
