"""The tables among strangers: PyIceberg and DuckDB read what k2 writes, prune by what it recorded, and go back in time; PyIceberg changes
a table, and k2 goes on from there without losing or doubling a row."""

import datetime
import decimal
import json
import pathlib
import uuid

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.conversions import from_bytes
from pyiceberg.expressions import And, EqualTo, GreaterThanOrEqual, LessThan
from pyiceberg.manifest import DataFileContent
from pyiceberg.types import StringType

import lake
import program
import source_data
import tables
import verifier


@pytest.fixture
def binance(data_dir, sample_data):
    """A lake with the 2,001 Binance trades in trades_v2."""
    lake.load_binance(data_dir, source_data.BINANCE_DUMP)
    lake.archive(data_dir)
    return data_dir


def load_more(data_dir) -> None:
    """The 11 trades of one small company, from the log into the table."""
    lake.load_asx(data_dir, [path for path in source_data.ASX_TRADES if path.stem == "3153"])
    lake.archive(data_dir)


def check(data_dir, expect: int = 0) -> str:
    done = program.run("lake", "check", "--data-dir", data_dir, expect=expect)
    return (done.stdout + done.stderr).decode()


def files_of(scan) -> list[str]:
    return [task.file.file_path for task in scan.plan_files()]


def test_both_readers_see_the_same_rows(binance, binance_trades):
    rows = tables.by_pyiceberg(binance, "trades_v2")
    verifier.assert_clean(verifier.check_same("PyIceberg", binance_trades, [row.content for row in rows]),
                          verifier.check_same("DuckDB", rows, tables.by_duckdb(binance, "trades_v2")))


@pytest.mark.parametrize("name", ["trades_v2", "quotes_v2", "coverage", "trades", "quotes"])
def test_both_readers_open_every_empty_table(data_dir, name):
    program.run("lake", "init", "--data-dir", data_dir)
    columns = tables.table(data_dir, name).scan().to_arrow().column_names
    result = tables.duckdb_connection().execute(f"SELECT * FROM iceberg_scan('{tables.metadata_path(data_dir, name)}')")
    assert [column[0] for column in result.description] == columns
    assert result.fetchall() == []


def test_columns_have_the_types_they_should(binance):
    table = tables.table(binance, "trades_v2")
    types = {field.name: (str(field.field_type), field.required) for field in table.schema().fields}
    assert types["message_id"] == ("uuid", True)
    assert types["timestamp"] == ("timestamptz", True)
    assert types["price"] == ("decimal(18, 8)", True)
    assert types["trade_conditions"] == ("list<string>", True)
    assert types["source_sequence"] == ("long", False)
    described = tables.duckdb_connection().execute(f"DESCRIBE SELECT * FROM iceberg_scan('{tables.metadata_path(binance, 'trades_v2')}')").fetchall()
    by_name = {row[0]: row[1] for row in described}
    assert (by_name["message_id"], by_name["timestamp"], by_name["price"], by_name["trade_conditions"]) == \
           ("UUID", "TIMESTAMP WITH TIME ZONE", "DECIMAL(18,8)", "VARCHAR[]")
    assert [field.name for field in table.spec().fields] == ["timestamp_day", "exchange"]
    assert [table.schema().find_column_name(field.source_id) for field in table.sort_order().fields] == ["symbol", "timestamp"]


def test_recorded_bounds_and_counts_are_those_of_the_files(binance):
    """Each size, count and bound that k2 recorded, as PyIceberg understands them, against the values in the file."""
    load_more(binance)
    table = tables.table(binance, "trades_v2")
    fields = table.schema().fields
    for file in [task.file for task in table.scan().plan_files()]:
        path = file.file_path.removeprefix("file://")
        rows, footer = pq.read_table(path), pq.read_metadata(path)
        groups = [footer.row_group(i) for i in range(footer.num_row_groups)]
        assert (file.record_count, file.file_size_in_bytes, file.sort_order_id) == (rows.num_rows, pathlib.Path(path).stat().st_size, 1)
        assert file.split_offsets == [group.column(0).dictionary_page_offset or group.column(0).data_page_offset for group in groups]
        assert sum(file.column_sizes.values()) == sum(group.column(i).total_compressed_size for group in groups for i in range(group.num_columns))
        for field in fields:
            values = rows.column(field.name)
            if pa.types.is_list(values.type):
                continue
            assert (file.value_counts[field.field_id], file.null_value_counts[field.field_id]) == (rows.num_rows, values.null_count), field.name
            low, high = (from_bytes(field.field_type, bounds[field.field_id]) for bounds in (file.lower_bounds, file.upper_bounds))
            values = comparable(values)
            if isinstance(low, str):
                assert low == min(values)[:16] and high >= max(values) and high[:15] == max(values)[:15], field.name
            else:
                assert (low, high) == (min(values), max(values)), field.name


def comparable(values: pa.ChunkedArray) -> list:
    """A column's values without nulls, as PyIceberg's from_bytes gives them."""
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.int64())
    return [value.bytes if isinstance(value, uuid.UUID) else value for value in values.to_pylist() if value is not None]


def test_pyiceberg_prunes_files_by_day_exchange_and_symbol(binance):
    load_more(binance)
    table = tables.table(binance, "trades_v2")
    everything = files_of(table.scan())
    assert len(everything) > 1
    of_binance = files_of(table.scan(EqualTo("exchange", "binance")))
    assert len(of_binance) == 1
    assert of_binance == files_of(table.scan(EqualTo("symbol", "BTCUSDT")))
    day = datetime.datetime(2021, 1, 8, tzinfo=datetime.timezone.utc)
    assert of_binance == files_of(table.scan(And(GreaterThanOrEqual("timestamp", day), LessThan("timestamp", day + datetime.timedelta(days=1)))))
    assert files_of(table.scan(EqualTo("symbol", "NOSUCH"))) == []


def test_row_groups_are_sorted_by_symbol_and_time(binance):
    load_more(binance)
    for path in lake.warehouse_files(binance, "trades_v2", "*.parquet"):
        rows = pq.read_table(path)
        keys = list(zip(rows["symbol"].to_pylist(), rows["timestamp"].cast(pa.int64()).to_pylist(), rows["log_offset"].to_pylist()))
        assert keys == sorted(keys)


def test_readers_go_back_in_time(binance, binance_trades):
    first = tables.table(binance, "trades_v2").current_snapshot().snapshot_id
    load_more(binance)
    assert len(tables.by_pyiceberg(binance, "trades_v2")) == len(binance_trades) + 11
    assert len(tables.by_pyiceberg(binance, "trades_v2", snapshot_id=first)) == len(binance_trades)
    count = tables.duckdb_connection().execute(
        f"SELECT count(*) FROM iceberg_scan('{tables.metadata_path(binance, 'trades_v2')}', snapshot_from_id={first}::UBIGINT)").fetchone()[0]
    assert count == len(binance_trades)


def test_a_foreign_property_and_column_survive_our_commits(binance):
    table = tables.table(binance, "trades_v2")
    with table.transaction() as change:
        change.set_properties({"owner": "somebody"})
    with tables.table(binance, "trades_v2").update_schema() as change:
        change.add_column("note", StringType())
    load_more(binance)
    after = tables.table(binance, "trades_v2")
    assert after.properties["owner"] == "somebody"
    assert after.scan().to_arrow().column("note").null_count == after.scan().to_arrow().num_rows
    verifier.assert_clean(verifier.check_lake(binance))
    check(binance)


def test_goes_on_after_a_foreign_append(binance):
    """Rows somebody else appended stay, and our offsets are found below their snapshot. They have no place in the log: check says so."""
    table = tables.table(binance, "trades_v2")
    row = table.scan(limit=1).to_arrow()
    row = row.set_column(row.column_names.index("log_offset"), row.schema.field("log_offset"), pa.array([10**9], pa.int64()))
    table.append(row)
    assert "k2.offsets" not in tables.table(binance, "trades_v2").current_snapshot().summary.additional_properties
    load_more(binance)
    after = tables.table(binance, "trades_v2")
    assert after.scan().to_arrow().num_rows == 2001 + 1 + 11
    summary = after.current_snapshot().summary.additional_properties
    assert json.loads(summary["k2.offsets"]) == {source_data.BINANCE_TOPIC: {"0": 2001}, "market.equities.trades.asx": {"0": 11}}
    assert summary["total-records"] == "2013"
    assert len(tables.by_duckdb(binance, "trades_v2")) == 2013
    assert "log offsets at or above" in check(binance, expect=1)


def test_a_table_whose_offsets_somebody_expired_takes_nothing(binance):
    """Rows, but no snapshot that says which: refused with a sentence, never appended again."""
    table = tables.table(binance, "trades_v2")
    table.overwrite(table.scan().to_arrow())
    newest = tables.table(binance, "trades_v2")
    for snapshot in newest.metadata.snapshots[:-1]:
        newest.maintenance.expire_snapshots().by_id(snapshot.snapshot_id).commit()
    lake.load_asx(binance, [path for path in source_data.ASX_TRADES if path.stem == "3153"])
    done = program.run("archive", "--data-dir", binance, "--until-caught-up", expect=1)
    assert b"k2.offsets" in done.stderr
    assert tables.table(binance, "trades_v2").scan().to_arrow().num_rows == 2001


def test_a_repartitioned_table_takes_nothing(binance):
    with tables.table(binance, "trades_v2").update_spec() as change:
        change.add_identity("symbol")
    lake.load_asx(binance, [path for path in source_data.ASX_TRADES if path.stem == "3153"])
    done = program.run("archive", "--data-dir", binance, "--until-caught-up", expect=1)
    assert b"partitioned" in done.stderr


def test_deleted_rows_are_not_shown_or_refused_in_words(binance):
    """PyIceberg deletes by rewriting files: k2 shows what is left."""
    table = tables.table(binance, "trades_v2")
    price = max(row.content.price for row in tables.by_pyiceberg(binance, "trades_v2"))
    table.delete(GreaterThanOrEqual("price", decimal.Decimal(price).scaleb(-8)))
    left = tables.table(binance, "trades_v2").scan().to_arrow().num_rows
    assert 0 < left < 2001
    assert all(task.file.content == DataFileContent.DATA for task in tables.table(binance, "trades_v2").scan().plan_files())
    rows = lake.sql(binance, "SELECT count(*) AS n FROM trades")
    assert int(rows[0]["n"]) == left
