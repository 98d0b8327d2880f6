"""The commands of the section on certificates, on the retailer of the README and the test file of the plugin page."""

from __future__ import annotations

import json

from tests.docs.conftest import Reader
from tests.docs.pages import PLUGINS, README, the


def test_the_retailer_of_the_readme_is_certified_as_the_page_says(reader: Reader) -> None:
    project = the(README, "toml", "[project")
    files = {
        "corner/pyproject.toml": f'[project]\nname = "tillhook-corner"\n{project}',
        "corner/tests/test_corner.py": the(PLUGINS, "python", "from tillhook import Answer"),
        "site/tillhook_corner.py": the(README, "python"),
        "site/tillhook_corner-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tillhook-corner\nVersion: 1.0\n",
        "site/tillhook_corner-1.0.dist-info/entry_points.txt": "[tillhook]\ncorner = tillhook_corner:Corner\n",
    }
    for path, text in files.items():
        (reader.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (reader.folder / path).write_text(text)

    said = reader.types(
        the(PLUGINS, "sh", "tillhook certify"),
        PYTHONPATH=str(reader.folder / "site"),
        PATH=f"{reader.folder / '.venv' / 'bin'}:{reader.environ['PATH']}",
    )

    assert said.startswith("corner 1.0 (tillhook-corner): bronze\n")
    assert "corner\ttillhook-corner\t1.0\tnot used\tbronze\t\n" in said
    assert said.splitlines()[-1].startswith("certificates/corner.json: corner 1.0 is bronze, by the key ")
    held = json.loads((reader.folder / "certificates" / "corner.json").read_text())["certificate"]
    assert held["exercised"] == ["fulfil_order", "poslog_for", "transaction_id_for"]
