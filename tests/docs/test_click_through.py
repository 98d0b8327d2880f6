"""The page ``/docs`` in a real browser: the whole journey by clicking, with nothing typed but the token."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.processes import Running
from tests.docs.browser import PROGRAMS, Browser

STEPS = ["scan_item", "create_order", "create_session", "add_payment", "read_order", "read_receipt"]
CLICK_THROUGH = """
(async (token, steps) => {
  const seen = (find, what) => new Promise((found, failed) => {
    const watch = new MutationObserver(look);
    const patience = setTimeout(() => { watch.disconnect(); failed(new Error(`never seen: ${what}`)); }, 30000);
    function look() {
      const at = find();
      if (at) { watch.disconnect(); clearTimeout(patience); found(at); }
    }
    watch.observe(document, {childList: true, subtree: true, characterData: true});
    look();
  });
  const drawn = () => new Promise(done => requestAnimationFrame(() => setTimeout(done)));
  const one = selector => seen(() => document.querySelector(selector), selector);

  (await one(".authorize")).click();
  const field = await one(".auth-container input");
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(field, token);
  field.dispatchEvent(new Event("input", {bubbles: true}));
  (await one(".auth-container .authorize")).click();
  (await one(".btn-done")).click();

  const answers = [];
  for (const step of steps) {
    const block = await one(`.opblock[id$="-${step}"]`);
    block.querySelector(".opblock-summary-control").click();
    const execute = await seen(() => block.querySelector(".execute"), `${step}: Execute`);
    for (let frame = 0; frame < 5; frame++) await drawn();
    execute.click();
    const status = await seen(() => block.querySelector(".live-responses-table tbody td"), `${step}: an answer`);
    const body = await seen(() => block.querySelector(".live-responses-table .highlight-code pre"), `${step}: a body`);
    answers.push([step, status.textContent.trim().slice(0, 3), body.textContent]);
  }
  return answers;
})
"""


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(PROGRAMS)} is installed")
    opened = Browser(program, tmp_path / "profile")
    yield opened
    opened.close()


def test_the_whole_journey_can_be_clicked_through(server: Running, browser: Browser) -> None:
    browser.open(f"{server.url}/docs")
    answers = browser.run(f"{CLICK_THROUGH}({json.dumps(server.token)}, {json.dumps(STEPS)})")

    assert [(step, status) for step, status, _ in answers] == [(step, "200") for step in STEPS]
    bodies = {step: body for step, _, body in answers}
    order = json.loads(bodies["read_order"])
    assert (order["order_status"], order["payment"]["status"]) == ("COMPLETED", "CAPTURED")
    assert order["basket_id"] == json.loads(bodies["scan_item"])["basket_id"]
    assert "DEMO: no money was taken" in bodies["read_receipt"]
