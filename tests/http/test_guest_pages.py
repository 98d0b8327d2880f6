"""Plugins' pages: signing in with a browser, who sees what, and nothing of a plugin's that runs."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from litestar.testing import TestClient

from tests.http.club import StoreBound, platform, serve
from tests.http.parts import Clock, bearer, claims, client, ec_key, token
from tillhook.core.http.cookies import LONGEST, token_of
from tillhook.core.http.server import Server
from tillhook.core.http.signing_in import local

KEY = ec_key()
CLUB = "/pages/club/stores/co_1"
PLAIN = ("/", "/wrong", "/ragged", "/outward", "/upward", "/disguised", "/endless", "/crash")
"""The pages that staff may see and that need no part of an address."""


def pass_of(role: str = "staff", *, stores: tuple[str, ...] | None = ("co_1",), **more: Any) -> bytes:
    return token(KEY, claims(sub=f"{role}_1", roles=[role], stores=stores and list(stores), **more))


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    system = platform(tmp_path_factory.mktemp("pages"), StoreBound(KEY), Clock(), body_bytes=20_000)
    yield serve(system)
    system.db.close()


@pytest.fixture
def browser(app: Server) -> Iterator[TestClient[Server]]:
    """Keeps cookies, follows nothing by itself."""
    with client(app) as found:
        found.follow_redirects = False
        yield found


Paste = Callable[..., httpx.Response]


@pytest.fixture
def paste(browser: TestClient[Server]) -> Paste:
    """Sends the sign-in form, as the page itself would."""

    def send(pasted: bytes | str, back: str = "/pages/", **headers: str) -> httpx.Response:
        usual = {"Origin": "http://testserver.local", "Host": "testserver.local", "Sec-Fetch-Site": "same-origin"}
        fields = {"token": pasted.decode() if isinstance(pasted, bytes) else pasted, "next": back}
        sent = {name: value for name, value in {**usual, **headers}.items() if value}
        return browser.post("/pages/sign-in", data=fields, headers=sent)

    return send


def read(answer: httpx.Response) -> str:
    assert answer.headers["content-type"].startswith("text/html"), answer.headers
    return answer.text


def hrefs(page: str) -> list[str]:
    return [html.unescape(at) for at in re.findall(r'href="([^"]*)"', page)]


# --- signing in


def test_a_page_sends_a_stranger_to_sign_in_and_back(browser: TestClient[Server], paste: Paste) -> None:
    refused = browser.get(f"{CLUB}/members/anna%20b?x=1&y=2")
    assert refused.status_code == 303
    form = read(browser.get(refused.headers["location"]))
    back = html.unescape(re.findall(r'name="next" value="([^"]*)"', form)[0])
    assert back == f"{CLUB}/members/anna%20b?x=1&y=2"
    answer = paste(pass_of(), back)
    assert (answer.status_code, answer.headers["location"]) == (303, back)
    assert "Member anna b" in read(browser.get(back))


def test_the_cookie_is_for_reading_pages_only_and_ends_with_the_token(paste: Paste) -> None:
    cookie = paste(pass_of()).headers["set-cookie"]
    assert re.fullmatch(
        r"tillhook-pages=[\w.-]+; Max-Age=600; Path=/pages; HttpOnly; SameSite=Strict", cookie, re.ASCII
    )


def test_over_tls_the_cookie_is_bound_to_the_host(app: Server) -> None:
    with TestClient(app, base_url="https://till.example") as api:
        api.follow_redirects = False
        answer = api.post("/pages/sign-in", data={"token": pass_of().decode()})
        assert re.fullmatch(
            r"__Host-tillhook-pages=[\w.-]+; Max-Age=600; Path=/; Secure; HttpOnly; SameSite=Strict",
            answer.headers["set-cookie"],
        )
        assert api.get(f"{CLUB}/").status_code == 200
        api.cookies.clear()
        plain = {"Cookie": f"tillhook-pages={pass_of().decode()}"}
        assert api.get(f"{CLUB}/", headers=plain).status_code == 303


def test_the_cookie_counts_nowhere_else_and_for_no_other_method(browser: TestClient[Server]) -> None:
    cookie = {"Cookie": f"tillhook-pages={pass_of('operator', stores=None).decode()}"}
    assert browser.get(f"{CLUB}/", headers=cookie).status_code == 200
    assert browser.get("/plugins/club/stores/co_1/members", headers=cookie).status_code == 401
    assert browser.post("/plugins/club/stores/co_1/members", headers=cookie, json={"name": "A"}).status_code == 401
    assert browser.get("/pagesx", headers=cookie).status_code == 404
    assert browser.post(f"{CLUB}/", headers=cookie).status_code == 405


@pytest.mark.parametrize(
    ("method", "path", "counts"),
    [("GET", "/pages/x", True), ("GET", "/pages", True), ("POST", "/pages/x", False), ("DELETE", "/pages/x", False)],
)
def test_the_edge_reads_the_cookie_of_a_get_below_the_pages(method: str, path: str, counts: bool) -> None:
    headers = [(b"cookie", b"other=1; tillhook-pages=a.b.c; x")]
    scope: Any = {"method": method, "path": path, "scheme": "http", "headers": headers}
    assert token_of(scope) == (b"a.b.c" if counts else None)


def test_the_header_counts_before_the_cookie(browser: TestClient[Server]) -> None:
    both = {"Cookie": f"tillhook-pages={pass_of().decode()}", **bearer(pass_of("shopper"))}
    assert browser.get(f"{CLUB}/", headers=both).status_code == 403


def test_a_token_that_expired_is_sent_to_sign_in(browser: TestClient[Server]) -> None:
    old = {"Cookie": f"tillhook-pages={pass_of(exp=1_000).decode()}"}
    assert browser.get(f"{CLUB}/", headers=old).headers["location"].startswith("/pages/sign-in?next=%2Fpages%2Fclub")


@pytest.mark.parametrize(
    ("pasted", "says"),
    [
        ("", "That is no token"),
        ("a.b", "That is no token"),
        ("a.b.c; Path=/\r\nX: 1", "That is no token"),
        (pass_of(exp=1_000).decode(), "The token has expired"),
        (pass_of().decode()[:-4] + "AAAA", "signature does not hold"),
        (f"{'a' * LONGEST}.b.c", "longer than the 3800 characters"),
        ("<script>alert(1)</script>", "That is no token"),
    ],
)
def test_a_token_that_is_none_is_told_on_the_form(paste: Paste, pasted: str, says: str) -> None:
    answer = paste(pasted, f"{CLUB}/")
    assert answer.status_code == 422
    assert "set-cookie" not in answer.headers
    assert says in html.unescape(read(answer))
    assert f'value="{CLUB}/"' in answer.text
    assert "<script" not in answer.text


def test_whoever_pastes_the_whole_header_is_understood(paste: Paste) -> None:
    assert paste(f"  Bearer {pass_of().decode()}\n").status_code == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null", "Sec-Fetch-Site": ""},
        {"Origin": "http://testserver.local.evil.example"},
    ],
)
def test_a_form_of_another_site_signs_nobody_in_or_out(
    browser: TestClient[Server], paste: Paste, headers: dict[str, str]
) -> None:
    answer = paste(pass_of(), **headers)
    assert answer.status_code == 403
    assert "sent by another site" in read(answer)
    assert "set-cookie" not in answer.headers
    out = browser.post("/pages/sign-out", headers={name: value for name, value in headers.items() if value})
    assert (out.status_code, "set-cookie" in out.headers) == (403, False)


def test_signing_out_has_the_browser_forget_the_token(browser: TestClient[Server], paste: Paste) -> None:
    paste(pass_of())
    assert browser.get("/pages/").status_code == 200
    assert browser.get("/pages/sign-out").status_code == 200
    assert browser.get("/pages/").status_code == 200
    assert browser.post("/pages/sign-out").headers["location"] == "/pages/sign-in"
    assert browser.get("/pages/").status_code == 303


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/pages/",
        "//evil.example/pages/",
        "/pages//../../orders",
        "/pages/%2e%2e/orders",
        "/pages/..%2forders/..",
        "/pages/./x",
        "/orders/v1/",
        "/pages",
        "javascript:alert(1)",
        "/pages/\\evil.example",
        "/pages/a\r\nSet-Cookie: x=1",
        "/pages/ä",
        "",
    ],
)
def test_nobody_is_sent_anywhere_but_to_a_page_here(browser: TestClient[Server], paste: Paste, address: str) -> None:
    assert local(address) == "/pages/"
    assert paste(pass_of(), address).headers["location"] == "/pages/"
    assert 'name="next" value="/pages/"' in browser.get("/pages/sign-in", params={"next": address}).text


def test_a_form_that_is_none_or_too_large_is_refused_as_a_page(browser: TestClient[Server]) -> None:
    odd = browser.post("/pages/sign-in", content=b"token=\xff")
    assert (odd.status_code, "cannot be read" in read(odd)) == (400, True)
    large = browser.post("/pages/sign-in", content=b"token=" + b"a" * 30_000)
    assert (large.status_code, "larger" in read(large)) == (413, True)


# --- who sees what


def test_the_list_shows_the_pages_of_the_stores_that_the_caller_may_see(browser: TestClient[Server]) -> None:
    staff = read(browser.get("/pages/", headers=bearer(pass_of("staff", stores=("co_1", "ki_1", "vi_1")))))
    assert f"{CLUB}/" in hrefs(staff)
    assert "/pages/club/stores/vi_1/" in hrefs(staff)
    assert not [at for at in hrefs(staff) if "co_2" in at or "ki_1" in at or "boss" in at or "{" in at]
    operator = read(browser.get("/pages", headers=bearer(pass_of("operator", stores=None))))
    assert {f"{CLUB}/boss", "/pages/club/stores/co_2/boss"} <= set(hrefs(operator))
    assert "co_shut" not in operator
    nobody = read(browser.get("/pages/", headers=bearer(pass_of("shopper", stores=None))))
    assert "There is no page that you may see." in nobody


def test_the_list_goes_on_where_it_was_left(browser: TestClient[Server], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tillhook.core.http.pages.AT_ONCE", 1)
    headers = bearer(pass_of("operator", stores=None))
    address, seen = "/pages/", []
    while address:
        page = read(browser.get(address, headers=headers))
        seen += re.findall(r'<p class="over">(\w+)</p>', page)
        address = next((at for at in hrefs(page) if "after=" in at), "")
    assert seen == ["co_1", "co_2", "vi_1"]


@pytest.mark.parametrize(
    ("path", "role", "status", "says"),
    [
        ("/pages/club/stores/co_1/boss", "staff", 403, "one of the roles operator"),
        ("/pages/club/stores/co_2/", "staff", 403, "not for store co_2"),
        ("/pages/club/stores/ki_1/", "operator", 404, "not switched on for store ki_1"),
        ("/pages/club/stores/none/", "operator", 404, "No store has the id"),
        ("/pages/club/stores/co_1/none", "operator", 404, "There is nothing at"),
        ("/pages/club/stores/co_1/wrong", "staff", 502, "answered str in place of a Page in pages: GET /wrong"),
        ("/pages/club/stores/co_1/ragged", "staff", 502, "a row of another length"),
        ("/pages/club/stores/co_1/outward", "staff", 502, "links begin with '/'"),
        ("/pages/club/stores/co_1/upward", "staff", 502, "links begin with '/'"),
        ("/pages/club/stores/co_1/disguised", "staff", 502, "links begin with '/'"),
        ("/pages/club/stores/co_1/endless", "staff", 502, "bytes, more than 250000"),
        ("/pages/club/stores/co_1/crash", "staff", 502, "raised RuntimeError"),
    ],
)
def test_a_person_reads_a_page_when_something_is_refused(
    browser: TestClient[Server], path: str, role: str, status: int, says: str
) -> None:
    answer = browser.get(path, headers=bearer(pass_of(role, stores=("co_1",) if role == "staff" else None)))
    assert answer.status_code == status
    page = html.unescape(read(answer))
    assert says in page
    assert answer.headers["x-request-id"] in page
    assert "hunter2" not in page


def test_a_page_leads_to_its_siblings_that_the_caller_may_see(browser: TestClient[Server]) -> None:
    tabs = [at for at in hrefs(read(browser.get(f"{CLUB}/", headers=bearer(pass_of())))) if at.startswith(CLUB)]
    assert tabs == [f"{CLUB}{path}" for path in PLAIN]


# --- nothing that runs


def test_whatever_a_plugin_writes_is_text(browser: TestClient[Server]) -> None:
    headers = bearer(pass_of(stores=("co_2",)))
    page = read(browser.get("/pages/club/stores/co_2/members/%3Cb%3Eanna", headers=headers))
    bare = page[page.index("<body>") :]
    ours = {"body", "header", "div", "a", "span", "main", "nav", "h1", "h2", "p", "dl", "dt", "dd", "section"}
    assert set(re.findall(r"<(\w+)", bare)) <= ours | {"table", "thead", "tbody", "tr", "th", "td"}
    for said in ("<script>alert(1)</script>", "<svg onload=alert(3)>", "Nobody <yet>.", "<em>back</em>", "<b>anna"):
        assert html.escape(said) in bare
    assert "/pages/club/stores/co_2/members/a%22b?x=1&y=%3C2%3E" in hrefs(page)


def test_a_page_may_run_nothing_and_send_nothing(browser: TestClient[Server]) -> None:
    page = browser.get(f"{CLUB}/", headers=bearer(pass_of()))
    form = browser.get("/pages/sign-in")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "script" not in page.headers["content-security-policy"]
    assert "form-action 'none'" in page.headers["content-security-policy"]
    assert "form-action 'self'" in form.headers["content-security-policy"]
    assert (page.headers["cache-control"], page.headers["referrer-policy"]) == ("no-store", "no-referrer")
    assert form.headers["referrer-policy"] == "same-origin"


def test_pages_are_no_part_of_the_api_document(browser: TestClient[Server]) -> None:
    assert not [path for path in browser.get("/openapi.json").json()["paths"] if path.startswith("/pages")]
