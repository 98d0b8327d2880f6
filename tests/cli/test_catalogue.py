"""``tillhook items``: a file into the catalogue, every row accounted for."""

import csv
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Folder

HEADER = "retailer_barcode,item_name,price_with_vat,tax_code"
GOOD = "9521234999997,Kaffe,49.95,food"


@pytest.fixture
def goods(tmp_path: Path) -> Path:
    """One good row, one that an earlier one has already, and three bad ones."""
    rows = [GOOD, GOOD, "9521234999990,Te,12.00,food", "=1+1,=HYPERLINK(),9.00,food", "9521234000013,Sukker,-1,food"]
    file = tmp_path / "goods.csv"
    file.write_text("\n".join([HEADER, *rows, ""]))
    return file


def test_bad_rows_are_left_out_by_line_and_the_others_kept(shop: Folder, goods: Path) -> None:
    result = shop.run("items", "import", str(goods))

    assert result.exit_code == 0
    said = result.stdout.splitlines()
    assert "imported\t1" in said
    assert "refused\t3" in said
    assert any(line.startswith("4\t9521234999990\twrong check digit") for line in said)
    assert said[-1] == "3 of 5 rows were refused and left out"
    assert "Kaffe" in shop.ok("items", "show", "9521234999997", "--store", "sto_demo_dk")


def test_which_catalogue_was_taken_is_said(shop: Folder, goods: Path) -> None:
    said = shop.ok("items", "import", str(goods))

    assert "catalogue demo_dk, DKK, read by the feed demo" in said
    assert "that of the demonstration store sto_demo_dk; --catalogue takes another" in said
    other = shop.ok("items", "import", str(goods), "--catalogue", "demo_se", "--feed", "csv")
    assert "catalogue demo_se, SEK, read by the feed csv" in other


def test_importing_it_again_changes_nothing(shop: Folder, goods: Path) -> None:
    shop.ok("items", "import", str(goods))
    report = json.loads(shop.ok("items", "import", str(goods), "--json"))["report"]

    counts = {name: report[name] for name in ("rows", "imported", "updated", "unchanged", "merged", "refused")}
    assert counts == {"rows": 5, "imported": 0, "updated": 0, "unchanged": 1, "merged": 1, "refused": 3}


def test_the_report_of_refusals_runs_no_formula(shop: Folder, goods: Path) -> None:
    shop.ok("items", "import", str(goods), "--report", "refused.csv")
    with Path("refused.csv").open(newline="", encoding="utf-8") as source:
        header, *rows = csv.reader(source)

    assert header == ["line", "barcode", "reason", "detail"]
    assert [row[0] for row in rows] == ["4", "5", "6"]
    assert rows[1][1] == "'=1+1"
    assert [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))] == []


def test_more_refusals_than_are_shown_are_pointed_to(shop: Folder, tmp_path: Path) -> None:
    file = tmp_path / "many.csv"
    file.write_text("\n".join([HEADER, GOOD, *(f"{number},Te,1.00,food" for number in range(1500))]))
    said = shop.ok("items", "import", str(file))

    assert said.count("wrong length: ") == 20
    assert said.splitlines()[-1] == "1500 of 1501 rows were refused and left out; --report FILE.csv keeps them"
    again = shop.ok("items", "import", str(file), "--report", "refused.csv").splitlines()[-1]
    assert again.endswith("the first 1000 of them are in refused.csv")
    assert len(Path("refused.csv").read_text().splitlines()) == 1001


def test_when_nothing_could_be_imported_it_fails(shop: Folder, tmp_path: Path) -> None:
    file = tmp_path / "bad.csv"
    file.write_text(f"{HEADER}\n1,Te,1.00,food\n")
    assert "nothing could be imported, 1 of 1 rows were refused" in shop.refused("items", "import", str(file))
    file.write_text(f"{HEADER}\n")
    assert "nothing could be imported, 0 of 0 rows" in shop.refused("items", "import", str(file))


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"a,b\n1,2\n", "the file has no column retailer_barcode"), (b"", "no column"), (b"\xff\xfea\0,\0", "UTF-16")],
)
def test_a_file_that_is_no_such_file_is_one_line(shop: Folder, tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "what.csv"
    file.write_bytes(content)

    line = shop.refused("items", "import", str(file))
    assert line.startswith(f"{file}: ")
    assert says in line


def test_a_file_that_is_not_there_or_a_folder_is_named(shop: Folder, tmp_path: Path) -> None:
    assert shop.refused("items", "import", "none.csv") == "none.csv: No such file or directory"
    assert shop.refused("items", "import", str(tmp_path)).endswith("Is a directory")


def test_what_was_asked_for_and_is_not_there_is_named(shop: Folder, goods: Path) -> None:
    unused = shop.refused("items", "import", str(goods), "--catalogue", "toys", code=2)
    assert unused == "no store uses (known: demo_dk, demo_se) the catalogue toys: name its --currency"
    feed = shop.refused("items", "import", str(goods), "--feed", "xml", code=2)
    assert feed == "no feed 'xml': there is csv, demo"
    assert "ZZZ" in shop.refused("items", "import", str(goods), "--currency", "ZZZ")
    assert shop.ok("items", "import", str(goods), "--catalogue", "toys", "--currency", "EUR")


def test_without_any_store_it_says_how_to_get_one(folder: Folder, goods: Path) -> None:
    folder.ok("db", "upgrade")

    assert "there is no store yet" in folder.refused("items", "import", str(goods))


def test_an_item_is_shown_as_the_till_sees_it(shop: Folder) -> None:
    tag = json.loads(shop.ok("demo", "--json"))["epcs"][0]

    by_code = shop.ok("items", "show", "9521234001010", "--store", "sto_demo_dk")
    assert "price\t18.00 DKK" in by_code
    by_tag = json.loads(shop.ok("items", "show", tag, "--store", "sto_demo_se", "--json"))
    assert by_tag["scan"]["epc"].startswith("urn:epc:id:sgtin:9521234.")
    assert by_tag["item"]["price"]["currency"] == "SEK"


def test_a_code_that_is_none_or_unknown_is_one_line(shop: Folder) -> None:
    assert "check digit" in shop.refused("items", "show", "9521234001011", "--store", "sto_demo_dk")
    assert "is not in the catalogue demo_dk" in shop.refused("items", "show", "9521234999997", "--store", "sto_demo_dk")
    assert "'sto_none'" in shop.refused("items", "show", "9521234001010", "--store", "sto_none")
