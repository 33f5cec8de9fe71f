"""Coverage through the program: a hole in the exchange's trades is seen, filled, and everyone can ask whether it is."""

import json

import pytest

import lake
import log_reader
import program
import source_data
import tables
import verifier
import web
from exchanges import NO_REST, Market, start_sim

TRADES = 300
HOLE = "hole:at_trade=100,count=20"


def up(start, data_dir, market: Market, rest: str) -> tuple[program.Program, str]:
    port = program.free_port()
    running = start("up", "--data-dir", data_dir, "--symbols", "BTCUSDT", "--endpoint", market.url, "--ca-file", market.ca,
                    env={"K2_BINANCE_REST_ENDPOINTS": rest, "K2_SERVE_LISTEN": f"127.0.0.1:{port}", "K2_LAKE_COMMIT_INTERVAL": "1s"}, name="up")
    url = f"http://127.0.0.1:{port}"
    running.wait_until(lambda: web.is_up(url + "/livez"), "the server")
    return running, url


def coverage(url: str, **parameters) -> list[dict]:
    answer = web.get(url + "/v1/coverage?" + "&".join(f"{name}={value}" for name, value in parameters.items()))
    assert answer.status == 200, answer.body
    return answer.json()["data"]


def missing(url: str) -> int:
    return sum(row["count"] for row in coverage(url, channel="trades", status="open,lost"))


def gaps(data_dir, *arguments) -> tuple[int, list[dict]]:
    done = program.run("gaps", "--data-dir", data_dir, "-o", "json", *arguments, expect=None)
    return done.returncode, json.loads(done.stdout)


def check_all(data_dir) -> None:
    lake.archive(data_dir)
    with log_reader.LogFile(data_dir) as log:
        statements = [record for partition in log.end_offsets() if ".coverage." in partition[0] for record in log.records(*partition)]
    assert statements
    verifier.assert_clean(verifier.check_lake(data_dir), verifier.check_accounted(tables.by_pyiceberg(data_dir, "trades_v2"), statements))


@pytest.fixture
def market(start, tmp_path) -> Market:
    return start_sim(start, tmp_path, "--symbols", "BTCUSDT", "--max-trades", str(TRADES), "--rate", "40", "--fault", HOLE)


def logged(data_dir) -> int:
    return log_reader.count(data_dir, source_data.BINANCE_TOPIC)


def test_a_hole_that_is_filled_ends_complete(start, data_dir, market):
    running, url = up(start, data_dir, market, market.rest)
    running.wait_until(lambda: coverage(url, status="backfilled"), "a statement that something was backfilled", seconds=60)
    running.wait_until(lambda: missing(url) == 0 and logged(data_dir) == TRADES, "all trades and no gap", seconds=60)
    assert running.stop() == 0
    check_all(data_dir)
    code, rows = gaps(data_dir)
    assert code == 0 and not [row for row in rows if row["status"] in ("open", "lost")]
    rows = gaps(data_dir, "--all")[1]
    assert sum(row["count"] for row in rows if row["status"] == "backfilled") >= 20
    assert sum(row["count"] for row in rows) == TRADES
    hole = next(row for row in rows if row["status"] == "backfilled")
    done = program.run("query", "trades", "BTCUSDT", "--data-dir", data_dir, "--start", hole["timestamp"], "--end", rows[-1]["end_timestamp"],
                       "--complete", "-o", "csv")
    assert done.stderr.splitlines()[-1] == b"k2: complete", done.stderr


def test_a_hole_that_cannot_be_filled_stays_visible_until_it_can(start, data_dir, market):
    running, url = up(start, data_dir, market, NO_REST)
    running.wait_until(lambda: missing(url) >= 20, "the gap", seconds=60)
    gap = coverage(url, channel="trades", status="open")[0]
    answer = web.get(f"{url}/v1/trades?symbol=BTCUSDT&start={gap['timestamp']}&limit=1").json()
    assert answer["complete"] is False and answer["gaps"][0]["first_sequence"] == gap["first_sequence"], answer
    assert running.stop() == 0
    check_all(data_dir)
    code, rows = gaps(data_dir)
    assert code == 3 and sum(row["count"] for row in rows if row["status"] == "open") >= 20

    running, url = up(start, data_dir, market, market.rest)
    running.wait_until(lambda: missing(url) == 0 and logged(data_dir) == TRADES, "the gap filled", seconds=60)
    assert running.stop() == 0
    check_all(data_dir)
    assert gaps(data_dir)[0] == 0
