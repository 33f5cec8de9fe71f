"""The PostgreSQL wire protocol, by clients that know nothing of k2: psycopg in text and binary, psql, SQLAlchemy."""

import csv
import datetime
import decimal
import os
import re
import shutil
import subprocess
import threading
import time

import pytest

import program
import source_data

psycopg = pytest.importorskip("psycopg", reason="no psycopg: install test/python/requirements.txt")

RUNAWAY = "SELECT count(*) FROM trades a, trades b, trades c, trades d WHERE a.price + b.price < c.price + d.price"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """host and port of a k2 that serves the Binance dump, half of it out of the table and half out of the log."""
    if not source_data.DATA.is_dir():
        pytest.skip("no sample data")
    directory = tmp_path_factory.mktemp("pgwire")
    data_dir = directory / "k2-data"
    lines = source_data.BINANCE_DUMP.read_text().splitlines(keepends=True)
    (directory / "half.csv").write_text("".join(lines[:len(lines) // 2]))
    program.run("load", "binance", directory / "half.csv", "--symbol", "BTCUSDT", "--data-dir", data_dir)
    program.run("archive", "--until-caught-up", "--data-dir", data_dir)
    program.run("load", "binance", source_data.BINANCE_DUMP, "--symbol", "BTCUSDT", "--data-dir", data_dir)
    http, port = program.free_port(), program.free_port()
    settings = {"K2_SERVE_LISTEN": f"127.0.0.1:{http}", "K2_SERVE_PG_LISTEN": f"127.0.0.1:{port}", "K2_SQL_TIMEOUT": "20s"}
    running = program.Program("serve", "--data-dir", data_dir, env=settings, directory=directory, name="serve").start()

    def answers():
        try:
            psycopg.connect(f"host=127.0.0.1 port={port} user=k2 dbname=k2", connect_timeout=5).close()
            return True
        except psycopg.OperationalError:
            return False

    running.wait_until(answers, "the PostgreSQL port")
    yield "127.0.0.1", port
    running.end()


@pytest.fixture
def connection(address):
    with psycopg.connect(f"host={address[0]} port={address[1]} user=k2 dbname=k2") as made:
        yield made


@pytest.fixture(scope="session")
def dump():
    """(id, price, quantity, time) of each line, by csv and Decimal alone."""
    with open(source_data.BINANCE_DUMP, newline="") as file:
        lines = [line for line in csv.reader(file) if line[0].isdigit()]
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    return [(line[0], decimal.Decimal(line[1]), decimal.Decimal(line[2]), epoch + datetime.timedelta(milliseconds=int(line[4]))) for line in lines]


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_every_row_is_what_the_file_says(connection, dump, binary):
    cursor = connection.cursor(binary=binary)
    cursor.execute("SELECT trade_id, price, quantity, timestamp FROM trades ORDER BY log_offset")
    assert cursor.fetchall() == dump


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_parameters_and_exact_sums(connection, dump, binary):
    low = sorted(row[1] for row in dump)[len(dump) // 2]
    cursor = connection.cursor(binary=binary)
    for _ in range(8):  # psycopg prepares on the server after five
        cursor.execute("SELECT count(*), sum(quantity) FROM trades WHERE symbol = %s AND price >= %s AND timestamp >= %s",
                       ("BTCUSDT", low, dump[0][3]), binary=binary)
        assert cursor.fetchone() == (sum(row[1] >= low for row in dump), sum(row[2] for row in dump if row[1] >= low))


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_types(connection, binary):
    row = connection.cursor(binary=binary).execute(
        "SELECT true, 1::smallint, -2::integer, 3::bigint, 1.25::float4, 2.5::double, 'infinity'::double, -0.00012345::decimal(18,8), 'a', "
        "date '2020-02-29', timestamp '2021-01-08 00:00:00.25', timestamptz '1999-12-31 23:59:59.999999+00', NULL, ['a', NULL, '\"'], [1, 2], "
        "'387c5a1d-a7c2-8b9b-8000-000020fa7f87'::uuid, 12345678901234567890123456789::hugeint, 100000000.00010000::decimal(38,8), ''").fetchone()
    utc = datetime.timezone.utc
    assert row[:-3] == (True, 1, -2, 3, 1.25, 2.5, float("inf"), decimal.Decimal("-0.00012345"), "a", datetime.date(2020, 2, 29),
                        datetime.datetime(2021, 1, 8, 0, 0, 0, 250000), datetime.datetime(1999, 12, 31, 23, 59, 59, 999999, tzinfo=utc), None,
                        ["a", None, '"'], [1, 2], row[15])
    assert str(row[15]) == "387c5a1d-a7c2-8b9b-8000-000020fa7f87"
    assert row[-3:] == (decimal.Decimal("12345678901234567890123456789"), decimal.Decimal("100000000.00010000"), "")


def test_what_is_refused_says_so_and_the_connection_lives_on(connection):
    for sql, state in [("SELECT nosuch FROM trades", "42703"), ("SELECT * FROM nosuch", "42P01"), ("SELEC 1", "42601"), ("DROP VIEW trades", "42501"),
                       ("COPY trades TO STDOUT", "42501"), ("SELECT getenv('HOME')", "42501"), ("INSERT INTO trades SELECT 1", "42501"),
                       ("SELECT 'x'::integer", "22P02")]:
        with pytest.raises(psycopg.Error) as refused:
            connection.execute(sql)
        assert refused.value.sqlstate == state, (sql, refused.value)
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            connection.execute("SELECT 1")
        connection.rollback()
    assert connection.execute("SELECT 1").fetchone() == (1,)


def test_an_error_says_where(connection):
    with pytest.raises(psycopg.errors.UndefinedColumn) as refused:
        connection.execute("SELECT nosuch FROM trades")
    assert refused.value.diag.statement_position == "8"


def test_cancel_ends_a_query_at_once(connection):
    threading.Timer(0.5, connection.cancel).start()
    began = time.monotonic()
    with pytest.raises(psycopg.errors.QueryCanceled):
        connection.execute(RUNAWAY)
    assert time.monotonic() - began < 5
    connection.rollback()
    assert connection.execute("SELECT 1").fetchone() == (1,)


def test_several_statements_in_one_text(address):
    with psycopg.connect(f"host={address[0]} port={address[1]} user=k2", autocommit=True) as connection:
        cursor = connection.execute("BEGIN; SELECT ';' AS a; -- ; \n SET x = 'y;'; SELECT $$;$$; COMMIT")
        answers = []
        while True:
            if cursor.description:
                answers.append(cursor.fetchall())
            if not cursor.nextset():
                break
        assert answers == [[(";",)], [(";",)]]


def test_psql(address, dump):
    if shutil.which("psql") is None:
        pytest.skip("no psql")
    done = subprocess.run(["psql", "-h", address[0], "-p", str(address[1]), "-U", "k2", "-d", "k2", "-A", "-t", "-X", "-c",
                           "SELECT count(*), sum(quantity) FROM trades"],
                          capture_output=True, timeout=60, text=True, env={"PATH": os.environ["PATH"]})
    assert done.stdout.strip() == f"{len(dump)}|{sum(row[2] for row in dump)}", done.stderr


def test_sqlalchemy(address, dump):
    sqlalchemy = pytest.importorskip("sqlalchemy")
    engine = sqlalchemy.create_engine(f"postgresql+psycopg://k2@{address[0]}:{address[1]}/k2", use_native_hstore=False)
    with engine.connect() as connection:
        row = connection.execute(sqlalchemy.text("SELECT count(*), sum(quantity) FROM trades WHERE symbol = :symbol"), {"symbol": "BTCUSDT"}).one()
    assert tuple(row) == (len(dump), sum(row[2] for row in dump))


def test_the_readme_s_python_reads_every_trade(address, dump):
    text = (source_data.REPOSITORY / "README.md").read_text()
    (block,) = [block for block in re.findall(r"```python\n(.*?)```", text, re.S) if "psycopg" in block]
    assert "port=8812" in block
    names: dict = {}
    exec(block.replace("port=8812", f"port={address[1]}"), names)
    assert sorted(names["rows"]) == sorted((time, price, quantity) for _, price, quantity, time in dump)
