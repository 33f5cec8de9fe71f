"""Spark among the readers: it opens k2's catalog and tables by the README's snippet, counts and adds up exactly, and goes back in time.

Only with test/run --all (K2_SPARK): the download is half a gigabyte, and a JVM takes its time."""

import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

import lake
import source_data
import tables
from source_data import REPOSITORY, units

SPARK = pathlib.Path(os.environ.get("K2_SPARK", "/nonexistent"))
pytestmark = pytest.mark.skipif(not SPARK.is_dir(), reason="Spark is tried by test/run --all; K2_SPARK is where tools/deps --spark put it")


def snippet() -> str:
    """The README's lines for Spark; the packages it names, which Spark would download, are the ones that tools/deps has."""
    blocks = [block for block in re.findall(r"```python\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.S) if "pyspark" in block]
    assert len(blocks) == 1
    named = re.search(r'"spark\.jars\.packages", "([^"]*)"', blocks[0])
    assert named, "the snippet names its packages"
    jars = [SPARK / "more-jars" / f"{name}-{version}.jar" for _, name, version in (package.split(":") for package in named.group(1).split(","))]
    assert [jar for jar in jars if not jar.exists()] == [], "the README and tools/deps name other versions"
    return blocks[0].replace(named.group(0), f'"spark.jars", "{",".join(map(str, jars))}"')


@pytest.fixture(scope="module")
def lake_in_two_steps(tmp_path_factory, sample_data):
    """ASX first, Binance after it: a table with a past."""
    directory = tmp_path_factory.mktemp("spark")
    lake.load_asx(directory / "k2-data", source_data.ASX_TRADES, source_data.ASX_QUOTES)
    lake.archive(directory / "k2-data")
    lake.load_binance(directory / "k2-data", source_data.BINANCE_DUMP)
    lake.archive(directory / "k2-data")
    return directory


@pytest.fixture(scope="module")
def answers(lake_in_two_steps):
    questions = (REPOSITORY / "test" / "e2e" / "spark_questions.py").read_text()
    arguments = ["--driver-memory", "2g", "--conf", "spark.ui.enabled=false", "--conf", "spark.driver.host=127.0.0.1", "--conf",
                 "spark.sql.session.timeZone=UTC", "--conf", "spark.sql.shuffle.partitions=2", "--master", "local[2]", "pyspark-shell"]
    python_path = [SPARK, *SPARK.glob("lib/py4j-*.zip")]
    env = {**os.environ, "SPARK_HOME": str(SPARK / "deps"), "SPARK_LOCAL_IP": "127.0.0.1", "PYTHONPATH": ":".join(map(str, python_path)),
           "PYSPARK_PYTHON": sys.executable, "PYSPARK_SUBMIT_ARGS": " ".join(arguments)}
    done = subprocess.run([sys.executable, "-c", snippet() + questions], cwd=lake_in_two_steps, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-6000:]
    return json.loads(done.stdout.splitlines()[-1])


def as_sums(rows) -> dict[str, tuple[int, int, int]]:
    """As source_data.sums: quantity in 1e-8, price x quantity in 1e-16."""
    return {symbol: (count, units(quantity), units(value + "e8")) for symbol, count, quantity, value in rows}


def test_spark_counts_and_adds_up_trades_exactly(answers, asx_trades, binance_trades):
    assert as_sums(answers["trade_sums"]) == source_data.sums(asx_trades + binance_trades)


def test_spark_counts_and_adds_up_quotes_exactly(answers, asx_quotes):
    expected: dict[str, tuple[int, int, int]] = {}
    for quote in asx_quotes:
        count, bid, ask = expected.get(quote.symbol, (0, 0, 0))
        expected[quote.symbol] = count + 1, bid + quote.bid_price * quote.bid_quantity, ask + quote.ask_price * quote.ask_quantity
    assert {symbol: (count, units(bid + "e8"), units(ask + "e8")) for symbol, count, bid, ask in answers["quote_sums"]} == expected


def test_spark_proves_that_no_row_is_missing_or_twice(answers, asx_trades, asx_quotes, binance_trades):
    assert answers["ids"] == [[len(asx_trades) + len(binance_trades)], [len(asx_quotes)]]
    assert answers["offsets"] and all(count == last + 1 and first == 0 for _, _, count, first, last in answers["offsets"])
    assert sum(count for _, _, count, _, _ in answers["offsets"]) == len(asx_trades) + len(binance_trades)


def test_spark_sees_the_types_and_a_row_as_they_are(answers, asx_trades):
    types = dict(answers["types"])
    assert (types["message_id"], types["timestamp"], types["price"], types["quantity"], types["trade_conditions"], types["source_sequence"]) == \
           ("string", "timestamp", "decimal(18,8)", "decimal(18,8)", "array<string>", "bigint")
    first = min((trade for trade in asx_trades if trade.symbol == "BHP"), key=lambda trade: trade.source_sequence)
    [[message_id, timestamp_us, price, vendor_data, conditions]] = answers["first_bhp"]
    assert (message_id, timestamp_us, units(price), vendor_data, tuple(conditions)) == \
           (first.message_id, first.timestamp_us, first.price, first.vendor_data, first.trade_conditions)


def test_spark_goes_back_to_each_snapshot(answers, lake_in_two_steps, asx_trades, binance_trades):
    assert len(answers["snapshots"]) >= 2 and all(operation == "append" and commit_id for _, operation, commit_id in answers["snapshots"])
    ours = [snapshot.snapshot_id for snapshot in tables.table(lake_in_two_steps / "k2-data", "trades_v2").metadata.snapshots]
    assert [snapshot_id for snapshot_id, _, _ in answers["snapshots"]] == ours
    past = [as_sums(rows) for rows in answers["sums_at"]]
    assert past[-1] == source_data.sums(asx_trades + binance_trades)
    assert source_data.sums(asx_trades) in past, "between the two loads there were the ASX trades alone"
    assert answers["files"][0][1] == len(asx_trades) + len(binance_trades)


def test_spark_opens_the_empty_tables(answers):
    assert answers["empty"][:2] == [0, 0]
