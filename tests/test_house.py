"""The rules of the house that no linter knows: small rooms, good names, no guest's name in the core."""

import ast
import os
import re
import subprocess
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
LONGEST_FILE: Final = 400
NOT_OURS: Final = {".git", ".venv", ".tools", "__pycache__"}

EMPTY_NAMES: Final = re.compile(r"(utils?|helpers?|managers?|base|common|misc)", re.IGNORECASE)
PROMISES: Final = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
GUESTS: Final = (
    # retailers
    *("flying[ _-]?tiger", "wh[ _-]?smith", "carters", "mlse", "hudson"),
    # payment providers and wallets
    *("stripe", "adyen", "quickpay", r"checkout\.com", "mobilepay", "vipps", "swish", "klarna", "paypal", "worldpay"),
    *("verifone", "ingenico", "twint", "braintree", "sandbox"),
    # RFID, tax, fiscal, loyalty and back office
    *("nedap", "keonn", "sensormatic", "fiskaly", "efsta", "avalara", "talon", "antavo", "voyado"),
    *("shopify", "netsuite", "d365", "xstore", "sendgrid", "twilio"),
)
A_GUEST: Final = re.compile(rf"(?<![a-z])({'|'.join(GUESTS)})(?![a-z])", re.IGNORECASE)


def repository_files(suffix: str = "") -> list[Path]:
    """Every file that is, or is about to be, in the repository; links are left out, as what they lead to is listed."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
        found = [ROOT / name for name in listed if name]
    except (OSError, subprocess.CalledProcessError):  # no git, or an unpacked archive
        found = []
        for folder, folders, names in os.walk(ROOT):
            folders[:] = [name for name in folders if name not in NOT_OURS and not name.endswith("_cache")]
            found += [Path(folder, name) for name in names]
    return sorted(path for path in found if path.name.endswith(suffix) and path.is_file() and not path.is_symlink())


def shown(paths: list[Path]) -> list[str]:
    return [path.relative_to(ROOT).as_posix() for path in paths]


def lines_that_say(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    """``file:line: text`` of every line in ``paths`` in which ``pattern`` is found; what is no text is left out."""
    found = []
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        if pattern.search(text):
            where = path.relative_to(ROOT).as_posix()
            lines = enumerate(text.splitlines(), start=1)
            found += [f"{where}:{number}: {line.strip()[:160]}" for number, line in lines if pattern.search(line)]
    return found


def test_no_python_file_is_longer_than_400_lines() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in repository_files(".py")}
    assert shown([path for path, length in lengths.items() if length > LONGEST_FILE]) == []


def test_no_module_or_folder_has_a_name_that_says_nothing() -> None:
    parts = {path: path.relative_to(ROOT).with_suffix("").parts for path in repository_files(".py")}
    assert shown([path for path, names in parts.items() if any(map(EMPTY_NAMES.fullmatch, names))]) == []


def test_nothing_is_left_for_later() -> None:
    assert lines_that_say(PROMISES, repository_files()) == []


def test_the_core_names_no_retailer_provider_or_vendor() -> None:
    """In docstrings and examples neither: what is true of one guest only belongs into that guest's package."""
    ours = {"core", "hookspecs.py", "app.py"}
    files = [path for path in repository_files() if path.relative_to(ROOT).parts[0] in ours]
    assert lines_that_say(A_GUEST, files) == []


def test_tests_of_plugins_use_the_face_and_the_testing_kit_only() -> None:
    """import-linter sees the packages; their tests are no packages, so this is where they are looked at."""
    found = []
    for path in repository_files(".py"):
        if path.relative_to(ROOT).parts[0] in {"plugins", "retailers"}:
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and node.module:
                    names = [f"{node.module}.{alias.name}" for alias in node.names]
                behind = [
                    name for name in names if name.startswith(("tillhook.core", "tillhook.hookspecs", "tillhook.app"))
                ]
                found += [
                    f"{shown([path])[0]}: {name}" for name in behind if not name.startswith("tillhook.core.testing")
                ]
    assert found == []
