"""Documents are held against an XML Schema; neither may fetch anything."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.testing.promises import is_noticed, keeps
from tillhook import CompletedOrder, Plugin, PosLog, hookimpl
from tillhook.core.testing.contracts import PosLogContract

pytest.importorskip("lxml", reason="lxml is not installed: pip install tillhook[schema]")

from tillhook.core.testing.schemas import faults_by_schema

SCHEMA = """<?xml version="1.0"?>
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">
  <xs:element name="Sale">
    <xs:complexType>
      <xs:sequence>
        <xs:element name="Line" type="xs:string" maxOccurs="unbounded"/>
      </xs:sequence>
      <xs:attribute name="Total" type="xs:decimal" use="required"/>
    </xs:complexType>
  </xs:element>
</xs:schema>
"""


@pytest.fixture
def schema(tmp_path: Path) -> Path:
    file = tmp_path / "sale.xsd"
    file.write_text(SCHEMA)
    return file


def test_a_valid_document_has_no_faults(schema: Path) -> None:
    assert faults_by_schema('<Sale Total="1.50"><Line>Mug</Line></Sale>', schema) == []


def test_each_fault_is_named_with_its_line(schema: Path) -> None:
    (fault,) = faults_by_schema('<Sale Total="much">\n<Line/></Sale>', schema)
    assert fault.startswith("line 1: ")
    assert "much" in fault


def test_what_is_not_xml_is_a_fault(schema: Path) -> None:
    (fault,) = faults_by_schema("<Sale>Fish & chips</Sale>", schema)
    assert fault.startswith("it is not XML")


def test_a_schema_that_is_none_is_named(tmp_path: Path) -> None:
    file = tmp_path / "other.xsd"
    file.write_text("<html/>")
    with pytest.raises(ValueError, match=r"other\.xsd is no XML Schema"):
        faults_by_schema("<Sale/>", file)


def test_nothing_is_fetched_for_an_entity(schema: Path, tmp_path: Path) -> None:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: Any) -> None:
            """Not to standard error."""

    (tmp_path / "secret.txt").write_text("a line from the disk")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        for address in (f"http://127.0.0.1:{server.server_port}/x", (tmp_path / "secret.txt").as_uri()):
            document = f'<!DOCTYPE Sale [<!ENTITY e SYSTEM "{address}">]><Sale Total="&e;1"><Line>&e;</Line></Sale>'
            assert "a line from the disk" not in " ".join(faults_by_schema(document, schema))
        server.shutdown()
        thread.join()
    assert asked == []


class Sales(Plugin):
    @hookimpl
    def poslog_for(self, order: CompletedOrder) -> PosLog | None:
        sale = ET.Element("Sale", Total=str(order.total.decimal))
        for line in order.lines:
            ET.SubElement(sale, "Line").text = f"{line.gtin} {line.name}"
        return PosLog("application/xml", ET.tostring(sale, encoding="unicode"))


class OneTooMany(Sales):
    @hookimpl
    def poslog_for(self, order: CompletedOrder) -> PosLog | None:
        log = super().poslog_for(order)
        return log and PosLog(log.media_type, log.document.replace("</Sale>", "<Tax/></Sale>"))


def test_the_suite_holds_every_document_against_the_schema(schema: Path, tmp_path: Path) -> None:
    class OnSales(PosLogContract):
        plugin = Sales
        examples = 10

    suite = type("OnSales", (OnSales,), {"schema": schema})
    promise = "test_the_document_is_valid_by_its_schema"
    keeps(suite, promise, tmp_path)
    is_noticed(suite, OneTooMany, promise, "Tax", tmp_path)
