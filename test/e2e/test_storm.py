"""A read during a commit storm is a cut: always exactly a prefix of the log, never a row short or twice.

K2_CUTS sets the number of random cuts (100; the full run has 1,000).
"""

import datetime
import os
import random
import threading
import time
import urllib.parse

import pytest

import exchanges
import lake
import log_reader
import program
import source_data
import tables
import verifier
import web

CUTS = int(os.environ.get("K2_CUTS", "100"))
SEED = int(os.environ.get("K2_SEED", str(random.SystemRandom().randrange(10**6))))
TOPIC = source_data.BINANCE_TOPIC


@pytest.fixture
def storm(start, data_dir, tmp_path):
    """k2 up that commits every 50 ms while a market plays 1,000 trades/s; its base URL."""
    market = exchanges.start_sim(start, tmp_path, "--seed", str(SEED), "--rate", "1000")
    port = program.free_port()
    up = start("up", "--data-dir", data_dir, "--endpoint", market.url, "--ca-file", market.ca, "--listen", f"127.0.0.1:{port}",
               env={"K2_LAKE_COMMIT_INTERVAL": "20ms", "K2_BINANCE_REST_ENDPOINTS": market.rest}, name="up")
    up.wait_until(lambda: web.is_up(f"http://127.0.0.1:{port}/health") and log_reader.count(data_dir, TOPIC) > 500, "a market that flows",
                  seconds=60)
    up.url = f"http://127.0.0.1:{port}"
    return up


class Prefix:
    """The log's records as they grow; only what is new is read."""

    def __init__(self, data_dir):
        self.log = log_reader.LogFile(data_dir)
        self.records: dict[int, list[tables.Stored]] = {}

    def catch_up(self) -> dict[int, int]:
        """Reads on to the end; the end offsets by partition."""
        for (topic, partition), end in self.log.end_offsets().items():
            if topic == TOPIC:
                known = self.records.setdefault(partition, [])
                known += self.log.records(topic, partition, len(known), end)
        return {partition: len(known) for partition, known in self.records.items()}

    def rows(self, ends: dict[int, int], wanted) -> list[tuple]:
        return [key(record) for partition, end in ends.items() for record in self.records[partition][:end] if wanted(record.content)]


def key(record: tables.Stored) -> tuple:
    content = record.content
    return content.message_id, content.symbol, content.timestamp_us, content.price, content.quantity, content.side


def row_key(row: dict) -> tuple:
    """A record of /v1/trades as the same tuple."""
    return (row["message_id"], row["symbol"], microseconds(row["timestamp"]), source_data.units(row["price"]),
            source_data.units(row["quantity"]), row["side"])


def microseconds(text: str) -> int:
    moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (moment - source_data.EPOCH) // datetime.timedelta(microseconds=1)


def test_random_cuts_equal_the_log_prefix(storm, data_dir, record_property):
    """Over HTTP: a random window of one symbol. The newest row of the answer tells how far the cut went; below it nothing is missing."""
    chance = random.Random(SEED)
    prefix = Prefix(data_dir)
    rows_seen = 0
    began, first_commits = time.monotonic(), commits(data_dir)
    for cut in range(CUTS):
        before = prefix.catch_up()
        symbol = chance.choice(("BTCUSDT", "ETHUSDT"))
        oldest = prefix.records[next(iter(prefix.records))][0].content.timestamp_us
        newest = max(records[-1].content.timestamp_us for records in prefix.records.values())
        start_us = chance.randrange(max(oldest, newest - 3_000_000), newest + 1)
        answer = ask(storm.url, symbol, start_us)
        assert answer["complete"], answer
        rows = answer["rows"]
        prefix.catch_up()
        # All rows of one symbol are in one partition, in the order of offsets.
        partition = next(partition for partition, records in prefix.records.items() if any(r.content.symbol == symbol for r in records))
        ends = {partition: max([before[partition]] + [int(row["log_offset"]) + 1 for row in rows])}
        want = prefix.rows(ends, lambda trade: trade.symbol == symbol and trade.timestamp_us >= start_us)
        have = [row_key(row) for row in rows]
        verifier.assert_clean(verifier.check_same(f"seed {SEED}, cut {cut} ({symbol} from {start_us})", want, have))
        assert verifier.multiset_hash(want) == verifier.multiset_hash(have)
        rows_seen += len(rows)
        if cut % 20 == 0:
            again = ask(storm.url, symbol, start_us, answer["token"])
            verifier.assert_clean(verifier.check_same("the same read token", have, [row_key(row) for row in again["rows"]]))
    rate = (commits(data_dir) - first_commits) / (time.monotonic() - began)
    report = f"seed {SEED}: {CUTS} cuts, {rows_seen} rows, {rate:.1f} commits/s meanwhile"
    record_property("storm", report)
    print(report)
    assert rate > 5, f"no storm: {report}"


def ask(url: str, symbol: str, start_us: int, token: str | None = None) -> dict:
    """GET /v1/trades: rows, read token, whether it is complete."""
    parameters = {"symbol": symbol, "start": str(start_us), "limit": "100000"} | ({"read_token": token} if token else {})
    answer = web.get(f"{url}/v1/trades?{urllib.parse.urlencode(parameters)}")
    assert answer.status == 200, answer.body[:500]
    body = answer.json()
    return {"rows": body["data"], "token": body["read_token"], "complete": not body.get("truncated")}


def commits(data_dir) -> int:
    return int(tables.metadata(data_dir, "trades_v2")["last-sequence-number"])


@pytest.fixture
def storm_of_files(start, data_dir):
    """The same without a socket: an archive that commits every 50 ms, and loads of small files, one after the other, beside the test."""
    done = threading.Event()
    failures = []

    def play():
        number = 0
        while not done.is_set():
            number += 1
            symbol = ("BTCUSDT", "ETHUSDT")[number % 2]
            path = data_dir.parent / f"{symbol}-{number}.csv"
            path.write_text("".join(f"{number * 100 + row},{row + 100}.25,{number}.{row:02},0,{1610064000000 + number * 100 + row},True,True\n"
                                    for row in range(100)))
            try:
                lake.load_binance(data_dir, path, symbol=symbol)
            except Exception as failure:  # shown by the test's own thread
                failures.append(failure)
                return

    program.run("lake", "init", "--data-dir", data_dir)
    archive = start("archive", "--data-dir", data_dir, "--commit-interval", "20ms")
    player = threading.Thread(target=play)
    player.start()
    archive.wait_until(lambda: commits(data_dir) > 2, "the first commits")
    yield archive
    done.set()
    player.join()
    assert not failures and archive.running(), (failures, archive.talk())


def test_whole_tables_equal_the_log_prefix(storm_of_files, data_dir, record_property):
    """k2 query as a process of its own beside the storm: all rows at once, as Arrow."""
    prefix, cuts = Prefix(data_dir), max(10, CUTS // 10)
    began, first_commits, rows_seen = time.monotonic(), commits(data_dir), 0
    for _ in range(cuts):
        before = prefix.catch_up()
        rows = lake.query_rows(data_dir, "trades")
        prefix.catch_up()
        ends = {partition: before.get(partition, 0) for partition in prefix.records}
        for row in rows:
            ends[row.partition] = max(ends[row.partition], row.offset + 1)
        verifier.assert_clean(verifier.check_offsets("k2 query", rows, {(TOPIC, partition): end for partition, end in ends.items()}),
                              verifier.check_same("k2 query", prefix.rows(ends, lambda trade: True), [key(row) for row in rows]))
        rows_seen += len(rows)
    rate = (commits(data_dir) - first_commits) / (time.monotonic() - began)
    record_property("storm", f"{cuts} cuts of the whole table, {rows_seen} rows, {rate:.1f} commits/s meanwhile")
    assert commits(data_dir) - first_commits >= cuts // 2, "no storm"


def test_sql_aggregates_see_one_cut(storm_of_files, data_dir):
    """Count, sum and the largest offset of each partition come from one moment: they are those of a prefix."""
    prefix = Prefix(data_dir)
    for _ in range(max(5, CUTS // 20)):
        answer = lake.sql(data_dir, "SELECT log_partition, count(*) AS rows, CAST(sum(quantity) AS VARCHAR) AS quantity, "
                                    "max(log_offset) AS last, count(DISTINCT message_id) AS ids FROM trades GROUP BY log_partition")
        prefix.catch_up()
        assert answer
        for row in answer:
            records = prefix.records[int(row["log_partition"])][:int(row["last"]) + 1]
            assert len(records) == int(row["rows"]) == int(row["ids"]) == int(row["last"]) + 1
            assert source_data.units(row["quantity"]) == sum(record.content.quantity for record in records)
