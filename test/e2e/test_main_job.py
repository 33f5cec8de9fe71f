"""Files go in by the command line and come back by k2 and by strangers, exact; and damage to the lake is named."""

import collections
import json

import pytest

import lake
import log_reader
import program
import source_data
import tables
import verifier

READERS = {"PyIceberg": tables.by_pyiceberg, "DuckDB": tables.by_duckdb,
           "k2 query": lambda data_dir, name: lake.query_rows(data_dir, name.removesuffix("_v2"))}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory, sample_data):
    data_dir = tmp_path_factory.mktemp("main-job") / "k2-data"
    lake.load_everything(data_dir)
    return data_dir


@pytest.fixture(scope="module")
def expected(asx_trades, asx_quotes, binance_trades):
    return {"trades_v2": asx_trades + binance_trades, "quotes_v2": asx_quotes}


def test_the_sample_is_what_it_is_said_to_be(asx_trades, asx_quotes, binance_trades):
    assert collections.Counter(trade.symbol for trade in asx_trades) == source_data.ASX_TRADE_COUNT
    assert collections.Counter(quote.symbol for quote in asx_quotes) == source_data.ASX_QUOTE_COUNT
    assert len(binance_trades) == source_data.BINANCE_COUNT


@pytest.mark.parametrize("name", ["trades_v2", "quotes_v2"])
@pytest.mark.parametrize("reader", READERS)
def test_every_row_comes_back_exact(loaded, expected, reader, name):
    rows = READERS[reader](loaded, name)
    verifier.assert_clean(verifier.check_same(f"{name} by {reader}", expected[name], [row.content for row in rows]))


@pytest.mark.parametrize("reader", READERS)
def test_sums_of_quantity_and_price_times_quantity_are_exact_per_symbol(loaded, expected, reader):
    rows = READERS[reader](loaded, "trades_v2")
    assert source_data.sums(row.content for row in rows) == source_data.sums(expected["trades_v2"])


def test_duckdb_sums_by_sql_are_exact(loaded, expected):
    assert tables.duckdb_sums(loaded) == source_data.sums(expected["trades_v2"])


def test_k2_sql_sums_are_exact(loaded, expected):
    rows = lake.sql(loaded, "SELECT symbol, count(*) AS rows, CAST(sum(quantity) AS VARCHAR) AS quantity, "
                            "CAST(sum(price::DECIMAL(19,8) * quantity::DECIMAL(19,8)) AS VARCHAR) AS value FROM trades GROUP BY symbol")
    found = {row["symbol"]: (int(row["rows"]), source_data.units(row["quantity"]), source_data.units(row["value"] + "e8")) for row in rows}
    assert found == source_data.sums(expected["trades_v2"])


def test_vendor_data_has_company_id_qualifiers_and_venue(loaded):
    row = lake.sql(loaded, "SELECT vendor_data FROM trades WHERE symbol = 'BHP' ORDER BY source_sequence LIMIT 1")[0]
    data = row["vendor_data"]
    assert (json.loads(data) if isinstance(data, str) else data) == {"company_id": "7078", "qualifiers": "3", "venue": "X"}


def test_log_and_tables_agree_row_by_row(loaded):
    verifier.assert_clean(verifier.check_lake(loaded))


def test_v1_tables_exist_and_are_empty(loaded):
    for name in ("trades", "quotes"):
        assert tables.table(loaded, name).scan().to_arrow().num_rows == 0
        assert tables.table(loaded, name).properties.get("k2.read-only") == "true"


def test_lake_check_finds_nothing_wrong(loaded):
    program.run("lake", "check", "--data-dir", loaded)


def test_queries_may_be_narrowed(loaded, asx_trades):
    start, end = "2014-03-11T00:00:00Z", "2014-03-12T00:00:00Z"
    rows = lake.query_rows(loaded, "trades", "BHP", "--start", start, "--end", end)
    day_us = 86_400_000_000
    first = 16_140 * day_us
    want = [trade for trade in asx_trades if trade.symbol == "BHP" and first <= trade.timestamp_us < first + day_us]
    assert len(want) > 10_000
    verifier.assert_clean(verifier.check_same("one day of BHP", want, [row.content for row in rows]))


def test_a_second_load_adds_nothing(loaded, expected):
    """No record in the log, no commit on a table, and so the same rows: a snapshot never changes."""
    def state():
        with log_reader.LogFile(loaded) as log:
            return log.end_offsets(), [tables.metadata(loaded, name)["current-snapshot-id"] for name in expected]

    before = state()
    lake.load_everything(loaded)
    assert state() == before
    for name, rows in expected.items():
        verifier.assert_clean(verifier.check_same(name, rows, [row.content for row in tables.by_pyiceberg(loaded, name)]))


# Damage. Each test has its own small lake: the eleven MWR trades.

MWR = [path for path in source_data.ASX_TRADES if path.stem == "3153"]


@pytest.fixture
def small(data_dir, sample_data):
    lake.load_asx(data_dir, MWR)
    lake.archive(data_dir)
    program.run("lake", "check", "--data-dir", data_dir)
    return data_dir


def cut_in_half(path):
    path.write_bytes(path.read_bytes()[:path.stat().st_size // 2])


def flip_bits(path):
    content = bytearray(path.read_bytes())
    for at in range(len(content) // 3, len(content) // 3 + 16):
        content[at] ^= 0xFF
    path.write_bytes(content)


DAMAGE = {
    "a data file is gone": ("*.parquet", lambda path: path.unlink()),
    "a data file is cut short": ("*.parquet", cut_in_half),
    "a data file is empty": ("*.parquet", lambda path: path.write_bytes(b"")),
    "a manifest is overwritten": ("*-m*.avro", flip_bits),
    "a manifest is gone": ("*-m*.avro", lambda path: path.unlink()),
    "a manifest list is cut short": ("snap-*.avro", cut_in_half),
    "the metadata is gone": (None, lambda path: path.unlink()),
    "the metadata is not JSON": (None, lambda path: path.write_text("{")),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_lake_check_says_what_is_wrong_and_where(small, damage):
    pattern, harm = DAMAGE[damage]
    victim = lake.warehouse_files(small, "trades_v2", pattern)[-1] if pattern else tables.metadata_path(small, "trades_v2")
    harm(victim)
    done = program.run("lake", "check", "--data-dir", small, expect=1)
    said = (done.stdout + done.stderr).decode()
    assert victim.name in said, f"{victim.name} is not named in: {said}"


def test_the_verifier_catches_a_row_a_stranger_wrote_twice(small):
    """The canary on a real table: PyIceberg appends a copy of one row, as a broken writer would."""
    verifier.assert_clean(verifier.check_lake(small))
    table = tables.table(small, "trades_v2")
    table.append(table.scan().to_arrow().slice(3, 1))
    problems = verifier.check_lake(small)
    assert any("more than once" in problem for problem in problems), problems
    done = program.run("lake", "check", "--data-dir", small, expect=1)
    assert done.stdout + done.stderr


def test_the_verifier_catches_a_row_a_stranger_deleted(small):
    table = tables.table(small, "trades_v2")
    table.delete("log_offset = 4")
    problems = verifier.check_lake(small)
    assert any("1 offsets missing" in problem for problem in problems), problems


def test_a_stranger_s_commit_without_offsets_is_walked_past(small):
    """After a foreign engine's commit the archive finds its place in an older snapshot and appends nothing again."""
    table = tables.table(small, "trades_v2")
    with table.transaction() as transaction:
        transaction.set_properties({"comment": "seen by a stranger"})
    table.delete("log_offset = 4")
    lake.load_binance(small, source_data.BINANCE_DUMP)
    lake.archive(small)
    rows = tables.by_pyiceberg(small, "trades_v2")
    assert len(rows) == source_data.ASX_TRADE_COUNT["MWR"] - 1 + source_data.BINANCE_COUNT
    verifier.assert_clean(verifier.check_unique("trades_v2", rows))


def test_a_lake_that_lost_its_log_refuses_to_archive(small):
    """Another log's offsets mean nothing here: stop with a message, append nothing."""
    for path in small.glob("log.db*"):
        path.unlink()
    lake.load_asx(small, MWR, expect=None)
    done = lake.archive(small, expect=1)
    assert b"log" in done.stderr
    assert len(tables.by_pyiceberg(small, "trades_v2")) == source_data.ASX_TRADE_COUNT["MWR"]

