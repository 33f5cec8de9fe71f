"""Outages of quotes leave a trace in coverage: over a kill, and where the exchange cuts the line."""

import time

import program
import web
from exchanges import add_faults, start_sim


def coverage(up, **parameters) -> list[dict]:
    answer = web.get(up.url + "/v1/coverage?channel=quotes&" + "&".join(f"{name}={value}" for name, value in parameters.items()))
    assert answer.status == 200, answer.body
    return answer.json()["data"]


def quotes(up, **parameters) -> dict:
    answer = web.get(up.url + "/v1/quotes?symbol=BTCUSDT&" + "&".join(f"{name}={value}" for name, value in parameters.items()))
    assert answer.status == 200, answer.body
    return answer.json()


def recording(start, data_dir, tmp_path, market):
    address = f"127.0.0.1:{program.free_port()}"
    up = start("up", "--data-dir", data_dir, "--symbols", "BTCUSDT", "--endpoint", market.url, "--ca-file", market.ca, "--listen", address,
               env={"K2_BINANCE_REST_ENDPOINTS": market.rest, "K2_BINANCE_CHANNELS": "trade,bookTicker", "K2_LAKE_COMMIT_INTERVAL": "500ms",
                    "K2_BINANCE_BACKOFF_FIRST": "300ms"}, name="up")
    up.url = f"http://{address}"
    up.wait_until(lambda: web.is_up(up.url + "/livez") and quotes(up, limit=1)["count"], "quotes", seconds=60)
    return up


def test_quotes_of_the_time_between_a_kill_and_the_next_start_are_lost(start, data_dir, tmp_path):
    market = start_sim(start, tmp_path, "--symbols", "BTCUSDT", "--rate", "100")
    up = recording(start, data_dir, tmp_path, market)
    time.sleep(1)
    up.crash()
    time.sleep(2)
    up.restart()
    up.wait_until(lambda: web.is_up(up.url + "/livez"), "the server")
    (lost,) = up.wait_until(lambda: coverage(up, status="lost"), "the outage", seconds=60)
    assert lost["reason"] == "not connected"
    all_quotes = sorted(quotes(up, limit=100000)["data"], key=lambda quote: quote["source_sequence"])
    ids = [quote["source_sequence"] for quote in all_quotes]
    before, after = lost["first_sequence"] - 1, lost["last_sequence"] + 1
    assert before in ids and after in ids and not [one for one in ids if before < one < after]
    at = {quote["source_sequence"]: quote["timestamp"] for quote in all_quotes}
    assert (lost["timestamp"], lost["end_timestamp"]) == (at[before], at[after])
    assert quotes(up, start=lost["timestamp"], end=lost["end_timestamp"])["complete"] is False

    up.wait_until(lambda: quotes(up, limit=1)["data"][0]["source_sequence"] > after + 50, "more quotes")
    assert up.stop() == 0  # states what was observed up to here
    up.start()
    up.wait_until(lambda: web.is_up(up.url + "/livez"), "the server")
    observed = up.wait_until(lambda: [row for row in coverage(up, status="observed") if row["first_sequence"] == after], "what was observed")[0]
    times = sorted(quote["timestamp"] for quote in quotes(up, limit=100000)["data"] if after < quote["source_sequence"] < observed["last_sequence"])
    inside = quotes(up, start=times[1], end=times[-1], limit=1)
    assert inside["complete"] is True, inside
    assert up.stop() == 0
    done = program.run("gaps", "--data-dir", data_dir, expect=3)
    assert b"binance BTCUSDT quotes: not received in " in done.stderr, done.stderr


def test_quotes_of_the_time_without_a_line_are_lost(start, data_dir, tmp_path):
    market = start_sim(start, tmp_path, "--symbols", "BTCUSDT", "--rate", "100")
    up = recording(start, data_dir, tmp_path, market)
    assert coverage(up, status="lost") == []
    add_faults(market, {"kind": "cut"})
    lost = up.wait_until(lambda: coverage(up, status="lost"), "the outage", seconds=60)[0]
    assert lost["reason"] == "not connected" and lost["count"] > 0
    health = web.get(up.url + "/health").json()
    assert health["status"] == "degraded" and any("of quotes since the start" in text for text in health["problems"]), health
