"""SQL from outside runs in a locked process: what it may not do is refused, what runs away is killed, and others go on."""

import json
import os
import pathlib
import threading
import time
import urllib.error
import urllib.request

import pytest

import program
import source_data

# What was found to be let through or to leak by a DuckDB that is locked by its own settings alone, and what else a reader must not do.
DENIED = [
    "COPY (SELECT 1) TO '{warehouse}/d.parquet'",
    "COPY trades TO '{warehouse}/d.parquet'",
    "COPY trades FROM '/etc/passwd'",
    "ATTACH '{warehouse}/new.db'",
    "ATTACH '{warehouse}/../catalog.db' (TYPE sqlite)",
    "EXPORT DATABASE '{warehouse}/x'",
    "CREATE TABLE x AS SELECT 1",
    "CREATE VIEW x AS SELECT 1",
    "CREATE MACRO m() AS 1",
    "DROP VIEW trades",
    "INSERT INTO trades SELECT * FROM trades",
    "DELETE FROM trades",
    "SELECT * FROM glob('{warehouse}/*')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM read_parquet('{warehouse}/../x.parquet')",
    "SELECT * FROM 'http://127.0.0.1:1/x.csv'",
    "SELECT * FROM 's3://bucket/x.parquet'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET memory_limit = '100GB'",
    "RESET memory_limit",
    "SET VARIABLE x = 1",
    "PRAGMA database_size",
    "CALL pragma_version()",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM duckdb_logs",
    "SELECT * FROM duckdb_views()",
    "SELECT * FROM pragma_database_list",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table('trades')",
    "SELECT getenv('HOME')",
    "SELECT current_setting('temp_directory')",
    "SELECT getvariable('x')",
    "SELECT length(repeat('x', 2000000000))",
    "SELECT length(lpad('x', 2000000000, 'y'))",
    "SELECT range(2000000000)",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP VIEW trades",
    "EXPLAIN ANALYZE SELECT 1",
    "DESCRIBE trades",
    "SHOW TABLES",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM k2_tail(1)",
    "SELECT * FROM json_execute_serialized_sql('{{}}')",
    "WITH duckdb_settings AS (SELECT 1) SELECT * FROM duckdb_settings",
    "BEGIN TRANSACTION",
    "VACUUM",
    "CHECKPOINT",
]


class Server:
    def __init__(self, running, url, data_dir):
        self.running, self.url, self.data_dir = running, url, data_dir

    def sql(self, text, seconds=60, **members):
        """(status, body as JSON)"""
        body = json.dumps({"sql": text, **members}).encode()
        request = urllib.request.Request(f"{self.url}/v1/sql", body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=seconds) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def rows(self, text, **members):
        status, body = self.sql(text, **members)
        assert status == 200, body
        return body["data"]

    def workers(self):
        """(pid, resident bytes) of each."""
        found = []
        for directory in pathlib.Path("/proc").iterdir():
            try:
                if directory.name.isdigit() and (directory / "cmdline").read_bytes() == b"k2\0sql-worker\0":
                    if f"PPid:\t{self.running.process.pid}\n" in (directory / "status").read_text():
                        found.append((int(directory.name), int((directory / "statm").read_text().split()[1]) * 4096))
            except OSError:
                pass
        return found


@pytest.fixture
def server(start, data_dir, sample_data, request):
    program.run("load", "binance", source_data.BINANCE_DUMP, "--symbol", "BTCUSDT", "--data-dir", data_dir)
    port = program.free_port()
    settings = {"K2_SERVE_LISTEN": f"127.0.0.1:{port}", "K2_SQL_TIMEOUT": "3s", "K2_SQL_MEMORY_MIB": "512"}
    running = start("serve", "--data-dir", data_dir, env=settings)
    url = f"http://127.0.0.1:{port}"

    def answers():
        try:
            return urllib.request.urlopen(f"{url}/readyz", timeout=5).status == 200
        except OSError:
            return False

    running.wait_until(answers, "readyz")
    return Server(running, url, data_dir)


def test_it_answers_exactly_what_the_file_says(server, binance_trades):
    expected_sum = sum(trade.quantity for trade in binance_trades)
    row = server.rows("SELECT count(*) AS n, sum(quantity) AS q, min(price) AS low FROM trades")[0]
    assert row["n"] == len(binance_trades)
    assert int(row["q"].replace(".", "")) == expected_sum
    assert int(row["low"].replace(".", "")) == min(trade.price for trade in binance_trades)


def test_an_answer_is_repeated_by_its_token(server):
    status, first = server.sql("SELECT count(*) AS n FROM trades")
    assert status == 200
    assert server.sql("SELECT count(*) AS n FROM trades", read_token=first["read_token"]) == (200, first)


@pytest.mark.parametrize("sql", DENIED)
def test_each_attempt_is_denied(sql, denied_server):
    warehouse = denied_server.data_dir / "warehouse"
    before = sorted(path for path in denied_server.data_dir.rglob("*"))
    status, body = denied_server.sql(sql.format(warehouse=warehouse))
    assert status in (400, 403), body
    assert sorted(path for path in denied_server.data_dir.rglob("*")) == before


@pytest.fixture(scope="module")
def denied_server(tmp_path_factory):
    if not source_data.DATA.is_dir():
        pytest.skip("no sample data")
    directory = tmp_path_factory.mktemp("denied")
    data_dir = directory / "k2-data"
    program.run("load", "binance", source_data.BINANCE_DUMP, "--symbol", "BTCUSDT", "--data-dir", data_dir)
    port = program.free_port()
    running = program.Program("serve", "--data-dir", data_dir, env={"K2_SERVE_LISTEN": f"127.0.0.1:{port}"}, directory=directory, name="serve").start()
    server = Server(running, f"http://127.0.0.1:{port}", data_dir)

    def answers():
        try:
            return urllib.request.urlopen(f"{server.url}/readyz", timeout=5).status == 200
        except OSError:
            return False

    running.wait_until(answers, "readyz")
    yield server
    running.end()


RUNAWAYS = [
    "SELECT count(*) FROM trades a, trades b, trades c, trades d WHERE a.price + b.price < c.price + d.price",
    "SELECT max(length(repeat(repeat(a.symbol, 10000), 10000))) FROM trades a, trades b",
    "WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r) SELECT max(i) FROM r",
]


@pytest.mark.parametrize("sql", RUNAWAYS)
def test_what_runs_away_is_ended_and_others_go_on(server, sql):
    assert server.rows("SELECT 1 AS one")[0]["one"] == 1
    answers = []
    began = time.monotonic()
    runaway = threading.Thread(target=lambda: answers.append(server.sql(sql)))
    runaway.start()
    slowest = 0
    while runaway.is_alive() and time.monotonic() - began < 20:
        asked = time.monotonic()
        assert server.rows("SELECT count(*) AS n FROM trades")[0]["n"] == source_data.BINANCE_COUNT
        slowest = max(slowest, time.monotonic() - asked)
        assert all(resident < 2 << 30 for _, resident in server.workers())
        time.sleep(0.1)
    runaway.join(30)
    took = time.monotonic() - began
    assert answers and answers[0][0] == 503, answers
    assert took < 10, took
    assert slowest < 5, slowest
    assert server.rows("SELECT 1 AS one")[0]["one"] == 1
    assert sum(resident for _, resident in server.workers()) < 600 << 20


def test_more_than_fits_waits_or_is_told_so(server):
    answers = []
    runaway = RUNAWAYS[0]
    threads = [threading.Thread(target=lambda: answers.append(server.sql(runaway)[0])) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(answers) == 6 and set(answers) <= {503, 429}, answers
    assert server.rows("SELECT 1 AS one")[0]["one"] == 1


def test_a_worker_can_neither_write_nor_connect(server):
    server.rows("SELECT 1 AS one")
    workers = server.workers()
    assert workers
    for pid, _ in workers:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        assert "Seccomp:\t2" in status and "NoNewPrivs:\t1" in status


def test_a_killed_worker_is_replaced(server):
    server.rows("SELECT 1 AS one")
    for pid, _ in server.workers():
        os.kill(pid, 9)
    status, _ = server.sql("SELECT 1 AS one")
    assert status in (200, 503)
    assert server.rows("SELECT 1 AS one")[0]["one"] == 1


def test_workers_end_with_their_server(server):
    server.rows("SELECT 1 AS one")
    pids = [pid for pid, _ in server.workers()]
    assert pids
    server.running.crash()
    program.wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids), "the workers' end", 10)
