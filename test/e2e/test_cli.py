"""The command line as its users meet it: help, exit codes, precedence, what goes where; and the page and routes while trades stream."""

import json
import os
import pty
import re
import select
import subprocess
import sys
import zipfile

import pytest

import exchanges
import lake
import log_reader
import program
import source_data
import verifier
import web

COMMANDS = ["demo", "up", "feed", "archive", "serve", "load", "watch", "query", "sql", "sim", "lake", "config"]
USAGE = 2


@pytest.mark.parametrize("command", COMMANDS)
def test_help_starts_with_examples(command):
    said = program.run(command, "--help").stdout.decode()
    assert f"k2 {command}" in said
    first = next(line for line in said.splitlines() if line.strip())
    assert "example" in said[:600].lower() or first.strip().startswith("k2 "), said[:600]


def test_help_lists_every_command_and_version_says_one():
    said = program.run("--help").stdout.decode()
    assert [command for command in COMMANDS if not re.search(rf"\b{command}\b", said)] == []
    assert re.search(r"\d+\.\d+", program.run("--version").stdout.decode())


@pytest.mark.parametrize("arguments", [
    [], ["nosuchcommand"], ["query"], ["query", "nosuchthing"], ["query", "trades", "--nosuchflag"], ["load", "asx"],
    ["load", "binance", "/dev/null"], ["query", "trades", "-o", "nosuchformat"], ["query", "trades", "--start", "yesterday-ish"],
    ["query", "trades", "--limit", "-5"], ["sql"], ["lake"], ["lake", "nosuchverb"]])
def test_what_cannot_be_understood_ends_with_exit_code_2(arguments, data_dir):
    done = program.run(*arguments, *(["--data-dir", data_dir] if arguments else []), expect=USAGE)
    assert done.stderr.strip() and not done.stdout.strip()


@pytest.fixture
def small(data_dir, sample_data):
    lake.load_asx(data_dir, [path for path in source_data.ASX_TRADES if path.stem == "3153"])
    lake.archive(data_dir)
    return data_dir


def test_a_failure_ends_with_exit_code_1_and_says_what_was_tried(small):
    done = program.run("sql", "--data-dir", small, "SELECT nosuchcolumn FROM trades", expect=1)
    assert done.stderr.count(b"SELECT nosuchcolumn") == 1 and not done.stdout.strip()


def test_data_goes_to_standard_output_and_talk_to_standard_error(small):
    for output in ("ndjson", "json", "csv"):
        done = program.run("query", "trades", "--data-dir", small, "-o", output)
        text = done.stdout.decode()
        if output == "ndjson":
            assert len(lake.json_rows(done.stdout)) == 11
        elif output == "json":
            assert len(json.loads(text)) == 11 or len(json.loads(text).get("rows", json.loads(text).get("trades", []))) == 11
        else:
            assert len(text.splitlines()) == 12 and "message_id" in text.splitlines()[0]
    done = lake.load_asx(small, [path for path in source_data.ASX_TRADES if path.stem == "3153"])
    assert not done.stdout.strip() or b"11" in done.stdout
    assert b"\x1b[" not in done.stderr, "colour without a terminal"


@pytest.mark.parametrize("output", ["table", "json", "ndjson", "csv", "parquet", "arrow"])
def test_every_format_gives_rows(small, output):
    assert program.run("query", "trades", "--data-dir", small, "-o", output).stdout


@pytest.mark.parametrize("what", ["symbols", "stats", "snapshots"])
def test_the_other_queries_answer(small, what):
    said = program.run("query", what, "--data-dir", small, "-o", "ndjson").stdout
    assert lake.json_rows(said)
    if what == "symbols":
        assert b"MWR" in said


def test_a_flag_beats_the_environment_beats_the_file_beats_the_default(tmp_path):
    def in_force(*flags, env=None):
        said = program.run("config", "show", *flags, env=env, cwd=tmp_path).stdout.decode()
        return re.search(r'^\s*data_dir\s*=\s*"([^"]*)"', said, re.M).group(1)

    assert in_force() == "./k2-data"
    (tmp_path / "k2.toml").write_text('data_dir = "from-file"\n')
    assert in_force() == "from-file"
    assert in_force(env={"K2_DATA_DIR": "from-environment"}) == "from-environment"
    assert in_force("--data-dir", "from-flag", env={"K2_DATA_DIR": "from-environment"}) == "from-flag"


def test_a_config_with_a_slip_is_refused_and_the_right_name_offered(tmp_path):
    path = tmp_path / "slip.toml"
    path.write_text('[lake]\ncommit_intervall = "5s"\n')
    done = program.run("config", "check", "--config", path, expect=None)
    assert done.returncode in (1, 2) and b"commit_interval" in done.stderr
    path.write_text('schema_version = "v1"\n')
    assert program.run("config", "check", "--config", path, expect=None).returncode in (1, 2)


def test_environment_lists_are_comma_separated(tmp_path):
    said = program.run("config", "show", env={"K2_BINANCE_SYMBOLS": "AAABBB,CCCDDD"}, cwd=tmp_path).stdout.decode()
    assert re.search(r'symbols\s*=\s*\["AAABBB", ?"CCCDDD"\]', said), said


def test_writing_sql_from_outside_is_refused(small, tmp_path):
    for statement in (f"COPY trades TO '{tmp_path}/stolen.csv'", "ATTACH '/tmp/x.db'", "INSERT INTO trades SELECT * FROM trades",
                      "SELECT * FROM read_csv('/etc/passwd')", "DROP TABLE trades"):
        done = program.run("sql", "--data-dir", small, statement, expect=None)
        assert done.returncode in (1, 2), f"{statement}: {done.stdout!r}"
        assert b"root:" not in done.stdout
    assert not (tmp_path / "stolen.csv").exists()


def test_a_binary_format_is_not_for_a_terminal(small):
    child, terminal = pty.openpty()
    done = subprocess.run([str(program.BINARY), "query", "trades", "--data-dir", str(small), "-o", "parquet"], stdout=terminal,
                          stderr=subprocess.PIPE, env=program.environment())
    shown = select.select([child], [], [], 0)[0]
    os.close(terminal)
    os.close(child)
    assert done.returncode == USAGE and b"> rows.parquet" in done.stderr, done.stderr
    assert not shown, "bytes on the terminal"


def test_a_table_has_the_newest_rows_in_the_order_of_the_others(data_dir, sample_data):
    lake.load_binance(data_dir, source_data.BINANCE_DUMP)

    def ids(*arguments):
        return [line.split()[-1].split(",")[-1] for line in
                program.run("query", "trades", "--data-dir", data_dir, *arguments).stdout.decode().splitlines()[1:]]

    everything = ids("-o", "csv", "--columns", "trade_id")
    assert ids("-o", "table") == everything[-50:]
    assert ids("-o", "table", "--newest") == everything[:-51:-1]
    assert ids("-o", "table", "--limit", "3") == everything[:3]


def test_an_unknown_symbol_is_told_from_a_quiet_market(small):
    def talk(*arguments):
        done = program.run("query", "trades", "--data-dir", small, *arguments)
        return done.stderr.decode()

    assert talk("mwr") == "k2: no trades of mwr; did you mean MWR?\n"
    assert talk("NOPE") == "k2: no trades of NOPE; known: MWR\n"
    assert talk("MWR", "NOPE") == "k2: no trades of NOPE; known: MWR\n"
    assert talk("MWR", "--exchange", "nyse") == "k2: no trades of exchange nyse; known: asx\n"
    assert "no trades of MWR in that time; there are some from 2014-03-" in talk("MWR", "--start", "2020-01-01")
    assert talk("MWR") == talk("NOPE", "--quiet") == ""
    assert b"no trades of mwr; did you mean MWR?" in program.run("gaps", "mwr", "--data-dir", small).stderr


def test_watching_what_is_not_there_says_so_and_waits(start, small):
    watching = start("watch", "mwr", "--data-dir", small)
    watching.wait_until(lambda: "no trades of mwr; did you mean MWR? (waiting for some)" in watching.talk(), "a word on the symbol")
    assert watching.stop() == 0


def test_a_day_can_be_the_exchange_s_own(data_dir, sample_data, asx_trades):
    lake.load_asx(data_dir, [path for path in source_data.ASX_TRADES if path.stem == "7078"])
    day = "--start", "2014-03-10", "--end", "2014-03-11"
    rows = program.run("query", "trades", "BHP", *day, "--tz", "Australia/Sydney", "--data-dir", data_dir, "-o", "csv").stdout.splitlines()[1:]
    lines = (source_data.DATA / "asx" / "trades" / "7078.csv").read_text().splitlines()
    assert len(rows) == sum(line.startswith("03/10/2014") for line in lines) > 0
    program.run("query", "trades", *day, "--tz", "Sydney", "--data-dir", data_dir, expect=USAGE)


def test_a_long_dead_letter_fits_a_table_and_is_whole_elsewhere(data_dir, tmp_path, sample_data):
    path = tmp_path / "dump.csv"
    path.write_bytes(source_data.BINANCE_DUMP.read_bytes().splitlines(keepends=True)[0] + b"x" * 5000 + b"\n")
    lake.load_binance(data_dir, path, expect=3)
    table = program.run("query", "dead-letters", "--data-dir", data_dir, "-o", "table").stdout.decode()
    assert max(map(len, table.splitlines())) < 300 and "…" in table
    row, = lake.json_rows(program.run("query", "dead-letters", "--data-dir", data_dir, "-o", "ndjson").stdout)
    assert row["raw"] == "x" * 5000


def test_demo_offline_ends_by_itself_and_its_books_balance(tmp_path):
    done = program.run("demo", "--offline", "--seconds", "5", "--data-dir", tmp_path / "demo", "--listen", f"127.0.0.1:{program.free_port()}",
                       seconds=60, cwd=tmp_path)
    said = (done.stdout + done.stderr).decode()
    assert "127.0.0.1" in said and "simulat" in said.lower(), "it must say which exchange, and the URL"
    logged = log_reader.count(tmp_path / "demo", source_data.BINANCE_TOPIC)
    assert logged > 0
    verifier.assert_clean(verifier.check_lake(tmp_path / "demo"))
    assert said.count("SIMULATED EXCHANGE") == 1 and all(line.startswith("k2: ") for line in said.splitlines()), said
    assert re.search(rf"\b{logged:,}\b|\b{logged}\b", said), f"{logged} trades in the log, but the summary says:\n{said[-2000:]}"


@pytest.fixture
def streaming(start, data_dir, tmp_path):
    """k2 up on a simulated market; its URL."""
    _, up = exchanges.start_streaming(start, data_dir, tmp_path)
    up.wait_until(lambda: web.is_up(f"{up.url}/health") and log_reader.count(data_dir, source_data.BINANCE_TOPIC) > 50,
                  "trades to flow", seconds=60)
    return up


def test_routes_answer_while_trades_stream(streaming):
    trades = web.get(f"{streaming.url}/v1/trades?symbol=BTCUSDT&window_minutes=15")
    assert trades.status == 200
    body = trades.json()
    assert body["data"] and body["read_token"] and all(row["symbol"] == "BTCUSDT" for row in body["data"])
    assert {"message_id", "timestamp", "price", "quantity", "side", "exchange", "currency", "vendor_data"} <= set(body["data"][0])
    assert isinstance(body["data"][0]["price"], str), "an exact decimal is text in JSON"
    symbols = web.get(f"{streaming.url}/v1/symbols")
    assert symbols.status == 200 and b"BTCUSDT" in symbols.body and b"ETHUSDT" in symbols.body
    assert web.get(f"{streaming.url}/v1/quotes?symbol=BTCUSDT&window_minutes=15").status == 200
    assert web.get(f"{streaming.url}/health").status == 200


@pytest.mark.parametrize("path", ["/v1/trades?symbol=BTCUSDT&window_minutes=x", "/v1/trades?symbol=BTCUSDT&limit=-1",
                                  "/v1/trades?symbol=BTCUSDT&start=nonsense", "/v1/trades?symbol=BTCUSDT&read_token=nonsense",
                                  "/v1/trades?nosuch=parameter", "/v1/nosuchroute"])
def test_a_request_that_makes_no_sense_is_4xx_with_a_reason(streaming, path):
    answer = web.get(streaming.url + path)
    assert 400 <= answer.status < 500 and answer.body, (answer.status, answer.body)


def test_metrics_have_the_decided_names(streaming):
    text = web.get(f"{streaming.url}/metrics").body.decode()
    for name in ("k2_binance_connection_status", "k2_binance_messages_received_total", "k2_binance_reconnects_total",
                 "k2_binance_errors_total", "k2_build_info", "k2_dead_letters_total"):
        assert re.search(rf"^{name}(\{{[^}}]*\}})? \S+$", text, re.M), name
    assert re.search(r"^k2_binance_connection_status(\{[^}]*\})? 1(\.0)?$", text, re.M), "connected, yet the status is not 1"
    received = sum(float(value) for value in re.findall(r"^k2_binance_messages_received_total(?:\{[^}]*\})? (\S+)$", text, re.M))
    assert received > 50


def test_the_stream_delivers_trades_as_they_come(streaming):
    trades = web.events(f"{streaming.url}/v1/stream", 5)
    assert len(trades) == 5
    flat = json.dumps(trades)
    assert "BTCUSDT" in flat or "ETHUSDT" in flat


def test_the_page_loads_and_needs_nothing_from_elsewhere(streaming):
    page = web.get(f"{streaming.url}/")
    text = page.body.decode()
    assert page.status == 200 and "text/html" in page.headers["Content-Type"]
    assert not re.search(r'(src|href)="https?://', text), "the page works offline"


def test_the_readme_s_first_steps_work(tmp_path, sample_data):
    """Each `k2 ...` line of the section "First steps", up to the live part, in its order, with the sample files at hand."""
    text = (source_data.REPOSITORY / "README.md").read_text()
    steps = text.split("## First steps")[1].split("## ")[0].split("Live")[0]
    lines = [re.sub(r"\s+#.*$", "", line.strip().removeprefix("$ ")) for line in steps.splitlines()]
    commands = [line for line in lines if line.startswith("k2 ")]
    assert len(commands) >= 4, steps
    (tmp_path / "trades").symlink_to(sample_data / "asx" / "trades")
    (tmp_path / "quotes").symlink_to(sample_data / "asx" / "quotes")
    (tmp_path / "company_info.csv").symlink_to(source_data.ASX_REFERENCE)
    with zipfile.ZipFile(tmp_path / "BTCUSDT-trades-2021-01-08.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(source_data.BINANCE_DUMP, source_data.BINANCE_DUMP.name)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "k2").symlink_to(program.BINARY)
    env = program.environment()
    env["PATH"] = f"{tmp_path / 'bin'}:{env['PATH']}"
    for command in commands:
        done = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=env, capture_output=True, timeout=120)
        assert done.returncode == 0, f"{command}\n{done.stderr.decode()}"


def test_the_readme_s_python_works(tmp_path, sample_data):
    """The snippets for PyIceberg and DuckDB run as they stand, after the first steps; extensions must be loaded for DuckDB."""
    lake.load_asx(tmp_path / "k2-data", [source_data.ASX_TRADES[0]])
    lake.archive(tmp_path / "k2-data")
    text = (source_data.REPOSITORY / "README.md").read_text()
    blocks = [block for block in re.findall(r"```python\n(.*?)```", text, re.S) if "pyspark" not in block and "psycopg" not in block]  # those: test_spark.py, test_pgwire.py
    assert blocks
    code = "\n".join(blocks)
    prelude = ("import sys; sys.path.insert(0, %r)\nimport duckdb, tables\n_c = tables.duckdb_connection()\nduckdb.sql = _c.sql\n"
               % str(source_data.REPOSITORY / "test" / "e2e"))
    done = subprocess.run([sys.executable, "-c", prelude + code], cwd=tmp_path, capture_output=True, env=dict(os.environ), timeout=120)
    assert done.returncode == 0, done.stderr.decode()
