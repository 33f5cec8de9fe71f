"""The verifier bites: damage planted in rows that were right is found. Runs without k2."""

import copy

import pytest

import source_data
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


@pytest.mark.parametrize("summary", [
    {"added_records": "8"}, {"total_records": "11"}, {"k2.log_id": "another"}, {"k2.commit_id": "commit 0"},
    {"k2.offsets": f'{{"{TOPIC}":{{"0":4}}}}'}, {"k2.offsets": "{}"}])
def test_a_snapshot_that_contradicts_its_parent_is_found(summary):
    assert verifier.check_snapshots("t", damaged_chain(**summary))


def test_a_snapshot_without_offsets_is_found():
    metadata = chain(5, 7)
    del metadata["snapshots"][1]["summary"]["k2.offsets"]
    assert verifier.check_snapshots("t", metadata)
