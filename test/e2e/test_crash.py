"""SIGKILL at random moments, and at every named crash point: no row lost, none twice.

K2_KILLS sets the number of random kills (12; the full run has 50), K2_SEED the moments.
"""

import collections
import os
import random
import re
import signal
import threading
import time

import pytest
import sqlalchemy.exc
from pyiceberg.exceptions import CommitFailedException

import exchanges
import lake
import log_reader
import program
import source_data
import tables
import verifier

KILLS = int(os.environ.get("K2_KILLS", "12"))
SEED = int(os.environ.get("K2_SEED", str(random.SystemRandom().randrange(10**6))))
CRASH_POINTS = sorted({name for path in (source_data.REPOSITORY / "src").rglob("*.cc") if not path.stem.endswith("_test")
                       for name in re.findall(r'K2_CRASH\("(C[0-9]+)"\)', path.read_text())})

# What some points need to be reached in a run of seconds.
CRASH_ENVIRONMENT: dict[str, dict] = {}


def k2_up(start, data_dir, market, **env) -> program.Program:
    port = program.free_port()
    return start("up", "--data-dir", data_dir, "--symbols", "BTCUSDT,ETHUSDT", "--endpoint", market.url, "--ca-file", market.ca,
                 "--listen", f"127.0.0.1:{port}", env={
                     "K2_BINANCE_REST_ENDPOINTS": market.rest, "K2_LAKE_COMMIT_INTERVAL": "100ms", **env}, name="up")


def loads(start, data_dir) -> list[program.Program]:
    """Two loads that run beside the stream: the two large companies, trades and quotes."""
    def load(company: str, **env):
        return start("load", "asx", "--data-dir", data_dir, "--reference", source_data.ASX_REFERENCE,
                     "--trades", source_data.DATA / "asx" / "trades" / f"{company}.csv",
                     "--quotes", source_data.DATA / "asx" / "quotes" / f"{company}.csv", name=f"load-{company}", env=env)

    return [load("7078"), load("7458")]


def check_stream(data_dir, market, sessions_max: int) -> int:
    """Each logged trade is one the market issued, with its values; within a connection none is missing, so the holes are as few as
    the connections. Trades issued while k2 was down are holes that remain. Returns the number of trades."""
    total = 0
    for symbol in ("BTCUSDT", "ETHUSDT"):
        found = {record.content.source_sequence: record.content
                 for record in log_reader.records(data_dir, source_data.BINANCE_TOPIC) if record.content.symbol == symbol}
        assert found, f"no {symbol} came through"
        ids = sorted(found)
        holes = sum(second != first + 1 for first, second in zip(ids, ids[1:]))
        assert holes <= sessions_max, f"{symbol}: {holes} holes with {sessions_max} connections"
        for first in range(ids[0], ids[-1] + 1, 1000):
            for issued in market.get(f"/api/v3/historicalTrades?symbol={symbol}&limit=1000&fromId={first}"):
                trade = found.get(issued["id"])
                if trade:
                    want = source_data.units(issued["price"]), source_data.units(issued["qty"]), issued["isBuyerMaker"]
                    assert (trade.price, trade.quantity, trade.side == "SELL") == want, (trade, issued)
                    total += 1
    return total


def check_files(data_dir, asx_trades, asx_quotes) -> None:
    """The two large companies are there, each row once."""
    for name, expected in (("trades_v2", asx_trades), ("quotes_v2", asx_quotes)):
        want = [row for row in expected if row.symbol in ("BHP", "RIO")]
        have = [row.content for row in tables.by_pyiceberg(data_dir, name) if row.content.exchange == "asx"]
        verifier.assert_clean(verifier.check_same(f"{name} of the files", want, have))


def test_killed_at_random_moments_while_loading_and_streaming(start, data_dir, tmp_path, asx_trades, asx_quotes, record_property):
    chance = random.Random(SEED)
    market = exchanges.start_sim(start, tmp_path, "--seed", str(SEED), "--rate", "400")
    up, loading = k2_up(start, data_dir, market), loads(start, data_dir)
    sessions = 1
    killed = {"up": 0, "load": 0}
    for _ in range(KILLS):
        time.sleep(chance.choice((0.02, 0.2, 0.8, 1.5)) * chance.random() + 0.01)
        alive = [load for load in loading if load.running()]
        if alive and chance.random() < 0.5:
            chance.choice(alive).restart()
            killed["load"] += 1
        assert up.running(), up.talk()
        if chance.random() < 0.15:
            up.crash()
            time.sleep(chance.random())  # nothing runs for a while; the market goes on
            up.start()
        else:
            up.restart()
        sessions += 1
        killed["up"] += 1
    for load in loading:
        wait_for_success(load)
    before = log_reader.count(data_dir, source_data.BINANCE_TOPIC)
    up.wait_until(lambda: log_reader.count(data_dir, source_data.BINANCE_TOPIC) > before + 200, "the stream to flow again", seconds=60)
    assert up.stop() == 0
    for load in loading:  # whatever a kill left out
        wait_for_success(load.restart())
    lake.archive(data_dir)
    streamed = check_stream(data_dir, market, sessions)
    check_files(data_dir, asx_trades, asx_quotes)
    verifier.assert_clean(verifier.check_lake(data_dir))
    program.run("lake", "check", "--data-dir", data_dir)
    report = f"seed {SEED}: {killed['up']} kills of up, {killed['load']} of loads; {streamed} streamed trades, all rows of the files"
    record_property("kills", report)
    print(report)


def test_loads_and_archives_killed_at_random_moments(start, data_dir, asx_trades, asx_quotes, record_property):
    """Processes of their own: two loads, and two archives that race each other for every commit."""
    chance = random.Random(SEED)
    loading = loads(start, data_dir)
    archives = [start("archive", "--data-dir", data_dir, "--commit-interval", "50ms", name=f"archive-{number}") for number in range(2)]
    killed = dict.fromkeys((running.name for running in [*loading, *archives]), 0)
    for _ in range(KILLS):
        time.sleep(chance.choice((0.01, 0.1, 0.4)) * chance.random())
        victim = chance.choice([load for load in loading if load.running()] * 2 + archives)
        assert victim.running(), victim.talk()
        victim.restart()
        killed[victim.name] += 1
    for load in loading:
        wait_for_success(load)
        wait_for_success(load.start())  # whatever a kill left out
    for archive in archives:
        assert archive.stop() == 0, archive.talk()
    lake.archive(data_dir)
    check_files(data_dir, asx_trades, asx_quotes)
    verifier.assert_clean(verifier.check_lake(data_dir))
    program.run("lake", "check", "--data-dir", data_dir)
    report = f"seed {SEED}: kills {killed}, {tables.metadata(data_dir, 'trades_v2')['last-sequence-number']} commits of trades"
    record_property("kills", report)
    print(report)


def wait_for_success(running: program.Program) -> None:
    program.wait_until(lambda: not running.running(), f"{running.name} to end", seconds=120)
    assert running.process.returncode == 0, running.talk()


def file_steps(data_dir):
    """The commands that take a file into the tables. One symbol of the dump, one company's quotes, and a line that becomes a dead letter (behind one
    that the dump has as well: a file of nothing else is refused)."""
    bad = data_dir.parent / "bad.csv"
    bad.write_text(source_data.BINANCE_DUMP.read_text().splitlines(keepends=True)[0] + "no trade\n")
    return [("load", "binance", "--data-dir", data_dir, source_data.BINANCE_DUMP, "--symbol", "BTCUSDT"),
            ("load", "binance", "--data-dir", data_dir, bad, "--symbol", "BTCUSDT"),
            ("load", "asx", "--data-dir", data_dir, "--reference", source_data.ASX_REFERENCE, "--quotes", source_data.ASX_QUOTES[2]),
            ("archive", "--data-dir", data_dir, "--until-caught-up")]


@pytest.mark.skipif(not CRASH_POINTS, reason="the program names no crash points")
@pytest.mark.parametrize("point", CRASH_POINTS)
def test_a_crash_at_each_named_point_loses_nothing(start, data_dir, tmp_path, binance_trades, asx_quotes, point, record_property):
    """The point must fire; afterwards everything runs again, and all is there once."""
    fired = collections.Counter()
    for hit in (1, 2, 3):
        for number, step in enumerate(file_steps(data_dir)):
            running = start(*step, name=f"{step[0]}-{number}-{hit}", env={"K2_CRASH_AT": f"{point}:{hit}", **CRASH_ENVIRONMENT.get(point, {})})
            program.wait_until(lambda running=running: not running.running(), f"{running.name} to end or crash", seconds=60)
            if running.process.returncode == -signal.SIGKILL:
                fired[step[0]] += 1
            else:
                assert running.process.returncode in (0, 3), running.talk()
    if not fired and point == "C39":
        fired["archive beside a stranger"] += fires_beside_a_stranger(start, data_dir, point)
    elif not fired:
        fired["up"] += fires_in_the_stream(start, data_dir, tmp_path, point)
    assert fired.total(), f"crash point {point} never fired"
    for step in file_steps(data_dir):
        program.run(*step, expect=None)
    rows = [row.content for row in tables.by_pyiceberg(data_dir, "trades_v2")]
    dump = set(binance_trades)
    quotes = [quote for quote in asx_quotes if quote.symbol == "DVN"]
    verifier.assert_clean(
        verifier.check_same("the dump", binance_trades, [row for row in rows if row in dump]),
        verifier.check_same("the quotes", quotes, [row.content for row in tables.by_pyiceberg(data_dir, "quotes_v2")]),
        verifier.check_lake(data_dir))
    assert log_reader.count(data_dir, log_reader.DEAD_LETTER_TOPIC) == 1
    record_property("fired", dict(fired))
    print(f"{point}: fired {dict(fired)}")


def fires_beside_a_stranger(start, data_dir, point: str) -> bool:
    """An archive that has to try again, because PyIceberg keeps changing the table's properties under it. The rows are another symbol's,
    file by file, so that there is always something to commit."""
    done = threading.Event()

    def disturb():
        number = 0
        while not done.is_set():
            number += 1
            try:
                with tables.table(data_dir, "trades_v2").transaction() as transaction:
                    transaction.set_properties({"stranger": str(number)})
            except (CommitFailedException, sqlalchemy.exc.OperationalError):
                pass  # k2 was first, or holds the catalog's lock

    stranger = threading.Thread(target=disturb)
    stranger.start()
    try:
        archive = start("archive", "--data-dir", data_dir, "--commit-interval", "20ms", name="archive-disturbed", env={"K2_CRASH_AT": point})
        for number in range(100):
            if not archive.running():
                break
            path = data_dir.parent / f"ETHUSDT-{number}.csv"
            path.write_text("".join(f"{number * 10 + row},{row + 1}.5,1.25,0,1610064000278,True,True\n" for row in range(10)))
            lake.load_binance(data_dir, path, symbol="ETHUSDT")
        return not archive.running() and archive.process.returncode == -signal.SIGKILL
    finally:
        done.set()
        stranger.join()


def fires_in_the_stream(start, data_dir, tmp_path, point: str) -> bool:
    """Runs k2 up on a simulated market until the point ends it."""
    market = exchanges.start_sim(start, tmp_path, "--rate", "200")
    up = k2_up(start, data_dir, market, K2_CRASH_AT=point)
    try:
        program.wait_until(lambda: not up.running(), f"{point} to fire", seconds=10)
    except AssertionError:
        return False
    return True


def test_a_torn_file_in_the_warehouse_harms_nothing(data_dir, binance_trades):
    """What a crash leaves half written is never part of a table."""
    lake.load_binance(data_dir, source_data.BINANCE_DUMP)
    lake.archive(data_dir)
    live = lake.warehouse_files(data_dir, "trades_v2", "*.parquet")[0]
    (live.parent / "half-written.parquet").write_bytes(live.read_bytes()[:1000])
    verifier.assert_clean(verifier.check_lake(data_dir))
    program.run("lake", "check", "--data-dir", data_dir)


def test_ctrl_c_stops_cleanly_with_nothing_lost(start, data_dir, tmp_path):
    market = exchanges.start_sim(start, tmp_path, "--rate", "400")
    up = k2_up(start, data_dir, market)
    up.wait_until(lambda: log_reader.count(data_dir, source_data.BINANCE_TOPIC) > 300, "trades to flow")
    assert up.interrupt() == 0, up.talk()
    assert len(tables.by_pyiceberg(data_dir, "trades_v2")) == log_reader.count(data_dir, source_data.BINANCE_TOPIC), "tables behind the log"
    verifier.assert_clean(verifier.check_lake(data_dir))
