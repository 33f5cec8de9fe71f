"""The verifier bites: damage planted in rows that were right is found. Runs without k2."""

import copy
import sqlite3

import pytest

import log_reader
import model_lake
import source_data
import tables
import verifier
from tables import Stored

pytestmark = pytest.mark.no_binary

TOPIC = source_data.BINANCE_TOPIC


def trade(number: int):
    return source_data.binance_trade("BTCUSDT", "USDT", 1000 + number, "39432.48", "0.5", 1610064000278 + number, True, None)


@pytest.fixture
def rows():
    return [Stored(trade(number), 1610064000300000, TOPIC, number % 2, number // 2) for number in range(100)]


ENDS = {(TOPIC, 0): 50, (TOPIC, 1): 50}


def chain(*steps):
    """Metadata whose snapshots add the given numbers of rows."""
    snapshots, total = [], 0
    for number, added in enumerate(steps):
        total += added
        snapshots.append({"snapshot-id": number + 1, "parent-snapshot-id": number or None, "summary": {
            "operation": "append", "added-records": str(added), "total-records": str(total), "k2.log-id": "log",
            "k2.commit-id": f"commit {number}", "k2.offsets": f'{{"{TOPIC}":{{"0":{total}}}}}'}})
    return {"snapshots": snapshots, "current-snapshot-id": len(steps)}


def test_right_rows_pass(rows):
    content = [row.content for row in rows]
    verifier.assert_clean(verifier.check_offsets("t", rows, ENDS), verifier.check_unique("t", rows),
                          verifier.check_same("t", content, reversed(content)), verifier.check_source_order("t", rows[::2]),
                          verifier.check_snapshots("t", chain(5, 7, 1)))


def test_a_lost_row_is_found(rows):
    damaged = rows[:41] + rows[42:]
    assert "1 offsets missing" in verifier.check_offsets("t", damaged, ENDS)[0]
    assert "1 missing, 0 too many" in verifier.check_same("t", rows, damaged)[0]


def test_a_row_that_is_there_twice_is_found(rows):
    damaged = rows + [rows[17]]
    assert "more than once" in verifier.check_offsets("t", damaged, ENDS)[0]
    assert len(verifier.check_unique("t", damaged)) == 2
    assert "0 missing, 1 too many" in verifier.check_same("t", rows, damaged)[0]


def test_a_trade_that_came_twice_at_two_offsets_is_found(rows):
    damaged = rows + [rows[17]._replace(offset=50)]
    assert verifier.check_offsets("t", damaged, {**ENDS, (TOPIC, 1): 51}) == []
    assert len(verifier.check_unique("t", damaged)) == 2


@pytest.mark.parametrize("field", ["price", "quantity", "timestamp_us"])
def test_a_value_off_by_the_last_digit_is_found(rows, field):
    damaged = list(rows)
    content = damaged[5].content
    damaged[5] = damaged[5]._replace(content=content._replace(**{field: getattr(content, field) + 1}))
    assert "1 missing, 1 too many" in verifier.check_same("t", rows, damaged)[0]


def test_a_row_past_the_end_and_a_whole_missing_partition_are_found(rows):
    assert verifier.check_offsets("t", rows, {(TOPIC, 0): 50, (TOPIC, 1): 49})
    assert verifier.check_offsets("t", rows[::2], ENDS)


def test_a_source_that_goes_back_is_found(rows):
    swapped = [rows[0]._replace(offset=1), rows[2]._replace(offset=0)]
    assert verifier.check_source_order("t", swapped)


def damaged_chain(**summary):
    metadata = copy.deepcopy(chain(5, 7, 1))
    metadata["snapshots"][1]["summary"].update({key.replace("_", "-"): value for key, value in summary.items()})
    return metadata


def says(offset: int, status: str, first: int, last: int) -> Stored:
    statement = tables.Coverage("binance", "BTCUSDT", "trades", 1000 + first, 1000 + last, 0, 0, status, None)
    return Stored(statement, 0, "market.crypto.coverage.binance", 0, offset)


def test_trades_that_are_there_or_spoken_of_pass(rows):
    statements = [says(0, "observed", 0, 39), says(1, "open", 40, 59), says(2, "backfilled", 40, 49), says(3, "lost", 50, 59), says(4, "observed", 60, 99)]
    verifier.assert_clean(verifier.check_accounted(rows, [says(0, "observed", 0, 99)]),
                          verifier.check_accounted(rows[:50] + rows[60:], statements), verifier.check_accounted(rows, []))


@pytest.mark.parametrize("absent, statements, fault", [
    (7, [], "missing without a word"),
    (7, [says(0, "open", 7, 7), says(1, "backfilled", 7, 7)], "said to be there"),
    (7, [says(1, "observed", 0, 99), says(0, "lost", 7, 7)], "said to be there"),
    (None, [says(0, "observed", 0, 6), says(1, "open", 7, 7), says(2, "observed", 8, 99)], "said to be missing"),
    (7, [says(0, "observed", 0, 99), says(1, "open", 7, 7)], "said to be there"),
])
def test_a_trade_that_coverage_does_not_account_for_is_found(rows, absent, statements, fault):
    found = verifier.check_accounted([row for number, row in enumerate(rows) if number != absent], statements)
    assert fault in found[-1], found


@pytest.mark.parametrize("summary", [
    {"added_records": "8"}, {"total_records": "11"}, {"k2.log_id": "another"}, {"k2.commit_id": "commit 0"},
    {"k2.offsets": f'{{"{TOPIC}":{{"0":4}}}}'}, {"k2.offsets": "{}"}])
def test_a_snapshot_that_contradicts_its_parent_is_found(summary):
    assert verifier.check_snapshots("t", damaged_chain(**summary))


def test_a_snapshot_without_offsets_is_found():
    metadata = chain(5, 7)
    del metadata["snapshots"][1]["summary"]["k2.offsets"]
    assert verifier.check_snapshots("t", metadata)


# The whole verifier on files: a lake made by the format pages alone.

@pytest.fixture
def lake_rows():
    return [Stored(trade(number)._replace(vendor_data='{"is_buyer_maker":"true"}'), 1610064000300000 + number, TOPIC, 0, number)
            for number in range(120)]


def test_a_right_lake_passes_through_every_reader(tmp_path, lake_rows):
    data_dir = model_lake.make(tmp_path / "lake", lake_rows)
    verifier.assert_clean(verifier.check_lake(data_dir))
    for rows in (tables.by_pyiceberg(data_dir, "trades_v2"), tables.by_duckdb(data_dir, "trades_v2"), log_reader.records(data_dir, TOPIC)):
        assert sorted(rows, key=lambda row: row.offset) == lake_rows
    assert tables.duckdb_sums(data_dir) == source_data.sums(row.content for row in lake_rows)


def test_a_row_appended_twice_to_a_table_is_found(tmp_path, lake_rows):
    data_dir = model_lake.make(tmp_path / "lake", lake_rows)
    table = tables.table(data_dir, "trades_v2")
    table.append(model_lake.arrow_rows(lake_rows[7:8], table.schema().as_arrow()))
    problems = verifier.check_lake(data_dir)
    assert any("more than once" in problem for problem in problems) and any("no k2.offsets" in problem for problem in problems), problems


def test_a_row_deleted_from_a_table_is_found(tmp_path, lake_rows):
    data_dir = model_lake.make(tmp_path / "lake", lake_rows)
    tables.table(data_dir, "trades_v2").delete("log_offset = 50")
    assert any("1 offsets missing, first [50]" in problem for problem in verifier.check_lake(data_dir))


def test_a_hole_in_the_log_is_found(tmp_path, lake_rows):
    data_dir = model_lake.make(tmp_path / "lake", lake_rows)
    with sqlite3.connect(data_dir / "log.db") as db:
        db.execute("DELETE FROM batches WHERE first_offset = 40")
    with pytest.raises(AssertionError, match="follows one that ended"):
        verifier.check_lake(data_dir)
