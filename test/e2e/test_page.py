"""What people see: the live page in a browser, and /health, while all is well, with a gap, and without the exchange."""

import re

import pytest

import browser
import program
import web
from exchanges import NO_REST, start_sim, start_streaming

HOLE = "hole:at_trade=100,count=20"


def up_on(start, data_dir, market, rest: str):
    address = f"127.0.0.1:{program.free_port()}"
    up = start("up", "--data-dir", data_dir, "--symbols", "BTCUSDT", "--endpoint", market.url, "--ca-file", market.ca, "--listen", address,
               env={"K2_BINANCE_REST_ENDPOINTS": rest, "K2_LAKE_COMMIT_INTERVAL": "500ms"}, name="up")
    up.url = f"http://{address}"
    up.wait_until(lambda: web.is_up(up.url + "/livez"), "the server")
    return up


def health(up) -> dict:
    answer = web.get(up.url + "/health")
    assert answer.status == 200, "how it is can always be asked"
    return answer.json()


@pytest.fixture
def look():
    """look(url) opens a page in a browser that is ended with the test."""
    opened = []

    def open_page(url: str) -> browser.Browser:
        opened.append(browser.Browser(url))
        return opened[-1]

    yield open_page
    for page in opened:
        page.end()


def rows(page) -> dict[str, str]:
    """The list of the card "Log and tables"."""
    return page.evaluate("Object.fromEntries([...document.querySelectorAll('#health dt')].map(dt => [dt.textContent, dt.nextSibling.textContent]))")


def test_the_page_shows_a_market_that_flows(start, data_dir, tmp_path, look):
    _, up = start_streaming(start, data_dir, tmp_path)
    up.wait_until(lambda: web.is_up(up.url + "/livez"), "the server")
    page = look(up.url)
    page.wait_until(lambda: page.text("#state") == "live" and rows(page).get("Status") == "ok", "a live page and a status", seconds=60)
    page.wait_until(lambda: re.search(r"[1-9]\d*\.\d trades/s", page.text("#symbols")), "a rate")
    shown = rows(page)
    assert shown["Feed"] == "connected" and shown["Gaps"] == "none open"
    assert {"trades_v2: not yet in the table", "quotes_v2: not yet in the table", "coverage: not yet in the table"} <= set(shown)
    time_cell = page.text("#tape tr td")
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3}", time_cell), "today needs no date"
    assert page.evaluate('timeText("2021-01-08T00:00:14.463000Z")') == "2021-01-08 00:00:14.463"
    assert page.text("#problems") == "" and page.errors == []


def test_the_page_and_health_say_what_is_missing(start, data_dir, tmp_path, look):
    market = start_sim(start, tmp_path, "--symbols", "BTCUSDT", "--rate", "40", "--fault", HOLE)
    up = up_on(start, data_dir, market, NO_REST)
    told = up.wait_until(lambda: (found := health(up))["status"] == "degraded" and found["gaps"]["open"] > 0 and found, "the gap in /health", seconds=60)
    missing = told["gaps"]["missing"]
    assert re.match(rf"1 gap open: {missing} trades of BTCUSDT missing; see /v1/coverage or `k2 gaps`", told["problems"][0]), told
    assert told["gaps"]["symbols"] == [{"exchange": "binance", "symbol": "BTCUSDT", "open": 1, "missing": missing}]
    assert web.get(up.url + "/readyz").status == 200, "it can be asked, and says so itself"

    page = look(up.url)
    page.wait_until(lambda: re.match(r"1 open, \d+ trades missing", rows(page).get("Gaps", "")), "the gap on the page", seconds=60)
    assert rows(page)["Status"] == "degraded"
    assert "trades of BTCUSDT missing" in page.text("#problems")
    assert page.evaluate("document.querySelector('#health a[href^=\"/v1/coverage\"]') !== null")
    assert page.errors == []


def test_health_says_when_the_exchange_is_gone_and_forgets_it_when_it_is_back(start, data_dir, tmp_path):
    market = start_sim(start, tmp_path, "--symbols", "BTCUSDT", "--rate", "40")
    up = up_on(start, data_dir, market, market.rest)
    up.wait_until(lambda: health(up)["status"] == "ok", "all to be well", seconds=60)
    market.running.crash()
    told = up.wait_until(lambda: (found := health(up))["status"] == "degraded" and found, "the exchange to be missed")
    assert told["problems"][0].startswith("not connected to Binance (wss://127.0.0.1"), told
    assert web.get(up.url + "/readyz").status == 200
