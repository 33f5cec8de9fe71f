"""The verifier: does the lake hold exactly what it must?

It shares no code with k2. Each check returns a list of sentences saying what is wrong; an empty list is a pass. `assert_clean` raises
with all of them. test_verifier.py plants damage and shows that every check bites.
"""

import collections
import hashlib
import json
import pathlib

import log_reader
import tables
from tables import Stored

SHOWN_MAX = 5  # examples in one message


def assert_clean(*reports: list[str]) -> None:
    problems = [problem for report in reports for problem in report]
    assert not problems, "the verifier found:\n  " + "\n  ".join(problems)


def multiset_hash(rows) -> str:
    """Order-independent, and a repeated row counts: the sum of each row's SHA-256 modulo 2^256."""
    total = sum(int.from_bytes(hashlib.sha256(repr(tuple(row)).encode()).digest(), "big") for row in rows)
    return f"{total % 2**256:064x}"


def check_same(what: str, expected, actual) -> list[str]:
    """Both hold the same rows, each as often."""
    expected, actual = list(expected), list(actual)
    if len(expected) == len(actual) and multiset_hash(expected) == multiset_hash(actual):
        return []
    want, have = collections.Counter(expected), collections.Counter(actual)
    missing, extra = want - have, have - want
    problems = [f"{what}: {len(expected)} rows expected, {len(actual)} found; {missing.total()} missing, {extra.total()} too many"]
    problems += [f"{what}: missing {row}" for row in list(missing)[:SHOWN_MAX]]
    problems += [f"{what}: too many {row}" for row in list(extra)[:SHOWN_MAX]]
    return problems


def check_offsets(what: str, rows: list[Stored], ends: dict[tuple[str, int], int]) -> list[str]:
    """Each partition's offsets are exactly 0 .. end-1, each once."""
    seen: dict[tuple[str, int], collections.Counter] = collections.defaultdict(collections.Counter)
    for row in rows:
        seen[row.topic, row.partition][row.offset] += 1
    problems = []
    for partition in sorted(set(seen) | set(ends)):
        offsets, end = seen[partition], ends.get(partition, 0)
        twice = sorted(offset for offset, count in offsets.items() if count > 1)
        missing = sorted(set(range(end)) - set(offsets))
        beyond = sorted(offset for offset in offsets if not 0 <= offset < end)
        for fault, found in (("more than once", twice), ("missing", missing), (f"not below the end {end}", beyond)):
            if found:
                problems.append(f"{what}: {partition[0]}/{partition[1]}: {len(found)} offsets {fault}, first {found[:SHOWN_MAX]}")
    return problems


def check_unique(what: str, rows: list[Stored]) -> list[str]:
    """message_id is unique, and so is (exchange, symbol, the venue's id)."""
    problems = []
    for name, key in (("message_id", lambda c: c.message_id), ("venue id", lambda c: (c.exchange, c.symbol, c[1]))):
        twice = [value for value, count in collections.Counter(key(row.content) for row in rows).items() if count > 1]
        if twice:
            problems.append(f"{what}: {len(twice)} of {name} more than once, first {twice[:SHOWN_MAX]}")
    return problems


def check_source_order(what: str, rows: list[Stored]) -> list[str]:
    """Within one (exchange, symbol) the order of offsets is the order of source sequences."""
    last: dict[tuple[str, str], int] = {}
    for row in sorted(rows, key=lambda row: (row.topic, row.partition, row.offset)):
        source = row.content.exchange, row.content.symbol
        if row.content.source_sequence <= last.get(source, -1):
            return [f"{what}: {source} goes back from {last[source]} to {row.content.source_sequence} at offset {row.offset}"]
        last[source] = row.content.source_sequence
    return []


def check_snapshots(what: str, metadata: dict) -> list[str]:
    """Along main's ancestry: offsets are monotone, added rows equal the offsets' advance, the log's identity stays, commit ids differ."""
    problems = []
    rows, offsets, log_ids, commit_ids = 0, {}, set(), collections.Counter()
    for snapshot in ancestry(metadata):
        summary, name = snapshot["summary"], f"{what}: snapshot {snapshot['snapshot-id']}"
        if "k2.offsets" not in summary:
            problems.append(f"{name} has no k2.offsets: {summary}")
            continue
        now = flat_offsets(summary["k2.offsets"])
        back = {partition: (offset, now.get(partition)) for partition, offset in offsets.items() if now.get(partition, -1) < offset}
        if back:
            problems.append(f"{name}: offsets go back: {back}")
        advance = sum(now.values()) - sum(offsets.values())
        added = int(summary.get("added-records", 0)) if summary["operation"] == "append" else 0
        if added != advance:
            problems.append(f"{name}: {added} rows added, offsets advance by {advance}")
        rows += added
        if int(summary.get("total-records", -1)) != rows:
            problems.append(f"{name}: total-records {summary.get('total-records')}, {rows} added so far")
        offsets = now
        log_ids.add(summary.get("k2.log-id"))
        commit_ids[summary.get("k2.commit-id")] += 1
    if len(log_ids) > 1 or None in log_ids:
        problems.append(f"{what}: k2.log-id is {log_ids}")
    repeated = [commit_id for commit_id, count in commit_ids.items() if count > 1 or not commit_id]
    if repeated:
        problems.append(f"{what}: k2.commit-id absent or repeated: {repeated[:SHOWN_MAX]}")
    return problems


def ancestry(metadata: dict) -> list[dict]:
    """main's snapshots, oldest first."""
    by_id = {snapshot["snapshot-id"]: snapshot for snapshot in metadata.get("snapshots", [])}
    chain, current = [], metadata.get("current-snapshot-id")
    while current in by_id:
        chain.append(by_id[current])
        current = by_id[current].get("parent-snapshot-id")
    return chain[::-1]


def flat_offsets(text: str) -> dict[tuple[str, int], int]:
    return {(topic, int(partition)): offset
            for topic, partitions in json.loads(text).items() for partition, offset in partitions.items()}


def check_lake(data_dir: pathlib.Path) -> list[str]:
    """Everything that must hold of a data directory whose archive has caught up, from the log's file and the tables alone."""
    problems = []
    with log_reader.LogFile(data_dir) as log:
        ends = log.end_offsets()
        for name, word in (("trades_v2", ".trades."), ("quotes_v2", ".quotes.")):
            table_ends = {partition: end for partition, end in ends.items() if word in partition[0]}
            logged = [record for partition in table_ends for record in log.records(*partition)]
            rows = tables.by_pyiceberg(data_dir, name)
            problems += check_offsets(f"log for {name}", logged, table_ends)
            problems += check_offsets(name, rows, table_ends)
            problems += check_unique(name, rows)
            problems += check_same(f"{name} against the log", logged, rows)
            problems += check_same(f"{name} by DuckDB against PyIceberg", rows, tables.by_duckdb(data_dir, name))
            problems += check_snapshots(name, tables.metadata(data_dir, name))
        problems += check_coverage(data_dir, log)
    return problems


def check_coverage(data_dir: pathlib.Path, log: log_reader.LogFile) -> list[str]:
    """The coverage table has the log's statements, each once."""
    ends = {partition: end for partition, end in log.end_offsets().items() if ".coverage." in partition[0]}
    if not ends:
        return []
    logged = [record for partition in ends for record in log.records(*partition)]
    rows = tables.by_pyiceberg(data_dir, "coverage")
    return (check_offsets("log for coverage", logged, ends) + check_offsets("coverage", rows, ends)
            + check_same("coverage against the log", logged, rows)
            + check_same("coverage by DuckDB against PyIceberg", rows, tables.by_duckdb(data_dir, "coverage"))
            + check_snapshots("coverage", tables.metadata(data_dir, "coverage")))


KNOWS = {"open": 0, "lost": 1, "not_issued": 1, "backfilled": 2, "observed": 2}


def present_coverage(statements: list[Stored]) -> dict[tuple[str, str, str], dict[int, str]]:
    """The status of each sequence number of (exchange, symbol, channel): that of the last of the statements that know most, number by number."""
    present = collections.defaultdict(dict)
    for row in sorted(statements, key=lambda row: (row.topic, row.partition, row.offset)):
        said = row.content
        source = present[said.exchange, said.symbol, said.channel]
        source.update({number: said.status for number in range(said.first_sequence, said.last_sequence + 1)
                       if KNOWS[said.status] >= KNOWS[source.get(number, "open")]})
    return present


def check_accounted(trades: list[Stored], statements: list[Stored]) -> list[str]:
    """Each trade id between a source's first and last is in the table, or coverage says that it is open, lost or not issued; not both."""
    taken = collections.defaultdict(set)
    for row in trades:
        taken[row.content.exchange, row.content.symbol, "trades"].add(int(row.content.trade_id))
    present, problems = present_coverage(statements), []
    for source, ids in taken.items():
        said = present.get(source, {})
        absent = {number for number, status in said.items() if status in ("open", "lost", "not_issued")}
        silent = [number for number in range(min(ids), max(ids) + 1) if number not in ids and number not in absent]
        false = sorted(ids & absent)
        hollow = sorted(number for number, status in said.items() if status in ("observed", "backfilled") and number not in ids)
        for fault, found in (("missing without a word", silent), ("there, and said to be missing", false), ("said to be there, and missing", hollow)):
            if found:
                problems.append(f"{source}: {len(found)} ids are {fault}, first {found[:SHOWN_MAX]}")
    return problems
