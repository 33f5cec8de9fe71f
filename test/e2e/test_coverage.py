"""Coverage through the program: a hole in the exchange's trades is seen, filled, and everyone can ask whether it is; files beside it make none."""

import collections
import csv
import datetime
import json
import time

import pytest

import lake
import log_reader
import program
import source_data
import tables
import verifier
import web
from exchanges import NO_REST, Market, ledger, start_sim

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


# --- files beside the feed ----------------------------------------------------------------------------------------------


def dump(path, rows) -> None:
    with open(path, "w", newline="") as out:
        csv.writer(out).writerows(rows)


def dump_rows() -> list[list[str]]:
    with open(source_data.BINANCE_DUMP, newline="") as source:
        return list(csv.reader(source))


def load(data_dir, path) -> None:
    program.run("load", "binance", path, "--symbol", "BTCUSDT", "--data-dir", data_dir)


def stated(data_dir) -> list:
    with log_reader.LogFile(data_dir) as log:
        records = [record.content for partition in log.end_offsets() if ".coverage." in partition[0] for record in log.records(*partition)]
    return [row for row in records if row.channel == "trades"]


def taken_ids(data_dir) -> list[int]:
    return [record.content.source_sequence for record in log_reader.records(data_dir, source_data.BINANCE_TOPIC)]


@pytest.mark.parametrize("distance", [500, 4_500_000_000], ids=["near enough to ask for", "years"])
def test_what_lies_between_a_loaded_dump_and_the_feed_is_not_missing(start, data_dir, tmp_path, sample_data, distance):
    """README's order of steps: a public dump first, then the live feed, in the same directory."""
    rows = dump_rows()[:400]
    last = int(rows[-1][0])
    dump(tmp_path / "BTCUSDT-trades-2021-01-08.csv", rows)
    now_ms = int(time.time() * 1000)
    dump(tmp_path / "live.csv", [[last + distance + 1 + n, *row[1:4], now_ms + n, *row[5:]] for n, row in enumerate(rows)])
    load(data_dir, tmp_path / "BTCUSDT-trades-2021-01-08.csv")
    market = start_sim(start, tmp_path, "--file", str(tmp_path / "live.csv"), "--play-rate", "40")
    running, url = up(start, data_dir, market, market.rest)
    running.wait_until(lambda: logged(data_dir) >= len(rows) + 50, "live trades", seconds=30)
    time.sleep(3)  # longer than a hole's grace
    assert missing(url) == 0 and b"k2_gaps_open{exchange=\"binance\"} 0" in web.get(url + "/metrics").body
    between = web.get(f"{url}/v1/trades?symbol=BTCUSDT&start=2023-01-01&end=2023-01-02&limit=1").json()
    assert between["complete"] is None and not between.get("gap_count"), between
    running.restart()
    running.wait_until(lambda: web.is_up(url + "/livez") and logged(data_dir) == 2 * len(rows), "all trades, those of the outage too", seconds=30)
    assert running.stop() == 0
    code, resolved = gaps(data_dir, "--all")
    assert code == 0 and {row["status"] for row in resolved} <= {"observed", "backfilled"}, resolved
    assert sum(row["count"] for row in resolved) == len(rows), "the feed's, all of them, and none of the file's"
    assert min(row["first_sequence"] for row in resolved) == last + distance + 1


def test_a_file_of_higher_ids_moves_nothing(start, data_dir, tmp_path, sample_data):
    market = start_sim(start, tmp_path, "--symbols", "BTCUSDT", "--rate", "40")
    running, url = up(start, data_dir, market, market.rest)
    running.wait_until(lambda: logged(data_dir) > 50, "live trades")
    load(data_dir, source_data.BINANCE_DUMP)
    time.sleep(4)
    assert stated(data_dir) == [] and missing(url) == 0
    assert running.stop() == 0
    first = stated(data_dir)
    running, url = up(start, data_dir, market, market.rest)
    count = logged(data_dir)
    running.wait_until(lambda: logged(data_dir) > count + 50, "more live trades")
    time.sleep(4)
    assert running.stop() == 0
    assert log_reader.dead_letters(data_dir) == []
    code, resolved = gaps(data_dir, "--all")
    live = [number for number in taken_ids(data_dir) if number < 553_287_559]
    assert code == 0 and sum(row["count"] for row in resolved) == len(live) == max(live) - min(live) + 1
    assert len(stated(data_dir)) - len(first) <= 4, stated(data_dir)


def test_what_was_taken_before_a_kill_is_stated_by_the_next_start(start, data_dir, market):
    running, _ = up(start, data_dir, market, market.rest)
    running.wait_until(lambda: logged(data_dir) > 60, "live trades")
    running.crash()
    assert stated(data_dir) == []
    running.start()
    running.wait_until(lambda: logged(data_dir) == TRADES, "all trades", seconds=60)
    assert running.stop() == 0
    code, resolved = gaps(data_dir, "--all")
    assert code == 0 and sum(row["count"] for row in resolved) == TRADES, resolved
    second = log_reader.records(data_dir, source_data.BINANCE_TOPIC)[1].content.timestamp_us
    start_time = datetime.datetime.fromtimestamp(second / 1e6, datetime.timezone.utc).isoformat().replace("+00:00", "Z")
    done = program.run("query", "trades", "BTCUSDT", "--data-dir", data_dir, "--start", start_time, "--end", resolved[-1]["end_timestamp"],
                       "--complete", "-o", "csv")
    assert done.stderr.splitlines()[-1] == b"k2: complete", done.stderr
    check_all(data_dir)


def test_a_gap_that_a_file_fills_is_backfilled_with_its_times(start, data_dir, tmp_path, market):
    running, url = up(start, data_dir, market, NO_REST)
    running.wait_until(lambda: missing(url) >= 20 and logged(data_dir) > 200, "the gap", seconds=60)
    gap = coverage(url, channel="trades", status="open")[0]
    trades = {trade["id"]: trade for trade in ledger(market, "BTCUSDT")}
    absent = [trades[number] for number in range(gap["first_sequence"], gap["last_sequence"] + 1)]
    dump(tmp_path / "BTCUSDT-trades-2026-11-23.csv",
         [[t["id"], t["price"], t["quantity"], "0", t["time_us"], t["buyer_is_maker"], True] for t in absent])
    load(data_dir, tmp_path / "BTCUSDT-trades-2026-11-23.csv")
    running.wait_until(lambda: missing(url) == 0, "the gap's end")
    assert running.stop() == 0
    filled = [row for row in stated(data_dir) if row.status == "backfilled"]
    assert [(row.first_sequence, row.last_sequence, row.reason) for row in filled] == [
        (gap["first_sequence"], gap["last_sequence"], "loaded from a file")]
    assert (filled[0].timestamp, filled[0].end_timestamp) == (absent[0]["time_us"], absent[-1]["time_us"])
    assert gaps(data_dir)[0] == 0
    check_all(data_dir)


def test_two_processes_state_each_what_it_took(start, data_dir, market):
    first, url = up(start, data_dir, market, market.rest)
    first.wait_until(lambda: coverage(url, status="backfilled"), "the hole filled by the first", seconds=60)
    filled = {number for row in coverage(url, status="backfilled") for number in range(row["first_sequence"], row["last_sequence"] + 1)}
    second, _ = up(start, data_dir, market, market.rest)
    second.wait_until(lambda: logged(data_dir) == TRADES, "all trades", seconds=60)
    time.sleep(2)
    assert second.stop() == 0
    assert b"another_writer" in second.talk_file.read_bytes()
    observed = {number for row in coverage(url, status="observed") for number in range(row["first_sequence"], row["last_sequence"] + 1)}
    assert not filled & observed, "the second says of its own only what it received"
    assert first.stop() == 0
    assert max(collections.Counter(taken_ids(data_dir)).values()) == 1
    code, resolved = gaps(data_dir, "--all")
    assert code == 0 and sum(row["count"] for row in resolved) == TRADES, resolved
    check_all(data_dir)
