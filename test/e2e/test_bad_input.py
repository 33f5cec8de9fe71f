"""Input nobody should send: a clear error or a dead letter, an exit code of ours, never a signal.

With K2_BIN_ASAN the same runs go through a build with AddressSanitizer and UndefinedBehaviorSanitizer.
"""

import os
import pathlib
import random
import zipfile

import pytest

import lake
import log_reader
import program
import source_data
import verifier

BINARY = pathlib.Path(os.environ.get("K2_BIN_ASAN", program.BINARY))
SANITIZERS = {"ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1", "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}
OK, FAILURE, USAGE, PARTIAL = 0, 1, 2, 3


def head(path: pathlib.Path, lines: int = 400) -> bytes:
    return b"".join(path.read_bytes().splitlines(keepends=True)[:lines])


def good_dump() -> bytes:
    return head(source_data.BINANCE_DUMP)


def good_asx() -> bytes:
    return head(source_data.DATA / "asx" / "trades" / "7078.csv")


def shuffled(text: bytes) -> bytes:
    lines = text.splitlines(keepends=True)
    random.Random(1).shuffle(lines)
    return b"".join(lines)


def binary(_: bytes) -> bytes:
    return random.Random(2).randbytes(100_000)


def truncated(text: bytes) -> bytes:
    return text[:len(text) * 2 // 3 - 7]


def flipped(text: bytes) -> bytes:
    damaged = bytearray(text)
    chance = random.Random(3)
    for _ in range(200):
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


DAMAGE = {
    "empty": lambda text: b"",
    "one line end": lambda text: b"\n",
    "truncated": truncated,
    "shuffled": shuffled,
    "binary": binary,
    "bits flipped": flipped,
    "zeros": lambda text: bytes(100_000),
    "a line of 20 MB": lambda text: text + b"1" * 20_000_000 + b"\n" + text,
    "commas": lambda text: b"," * 5_000_000,
    "no line end": lambda text: text.rstrip(),
    "quotes": lambda text: text.replace(b",", b'","'),
    "UTF-16": lambda text: text.decode().encode("utf-16"),
    "huge numbers": lambda text: text.replace(b",", b",9" * 40 + b",", 20),
    "negative": lambda text: text.replace(b",", b",-"),
}


def attempt(data_dir, kind: str, *paths, reference=source_data.ASX_REFERENCE):
    """Loads; whatever it says, the exit code is one of ours and the talk is not empty on trouble."""
    command = {"binance": ["load", "binance", *paths, "--symbol", "BTCUSDT"],
               "trades": ["load", "asx", "--reference", reference, *(part for path in paths for part in ("--trades", path))],
               "quotes": ["load", "asx", "--reference", reference, *(part for path in paths for part in ("--quotes", path))]}[kind]
    done = program.run(*command, "--data-dir", data_dir, expect=None, binary=BINARY, env=SANITIZERS)
    assert done.returncode in (OK, FAILURE, USAGE, PARTIAL), done.stderr[-2000:]
    assert b"Sanitizer" not in done.stderr and b"runtime error" not in done.stderr, done.stderr[-4000:].decode(errors="replace")
    assert done.returncode == OK or done.stderr.strip(), "failed in silence"
    return done


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("kind", ["binance", "trades", "quotes"])
def test_a_damaged_file_is_an_error_or_dead_letters(data_dir, tmp_path, sample_data, kind, damage):
    good = {"binance": good_dump, "trades": good_asx, "quotes": lambda: head(source_data.DATA / "asx" / "quotes" / "7078.csv")}[kind]()
    path = tmp_path / "7078.csv"
    path.write_bytes(DAMAGE[damage](good))
    done = attempt(data_dir, kind, path)
    topic = {"binance": source_data.BINANCE_TOPIC, "trades": source_data.ASX_TRADE_TOPIC, "quotes": source_data.ASX_QUOTE_TOPIC}[kind]
    if done.returncode in (OK, PARTIAL):
        letters = log_reader.count(data_dir, log_reader.DEAD_LETTER_TOPIC)
        assert (done.returncode == PARTIAL) == (letters > 0), f"exit code {done.returncode} with {letters} dead letters"
        assert log_reader.count(data_dir, topic) + letters <= len(path.read_bytes().splitlines()) + 1
        lake.archive(data_dir)
        verifier.assert_clean(verifier.check_lake(data_dir))


def test_one_bad_line_costs_only_itself(data_dir, tmp_path, sample_data):
    lines = good_dump().splitlines(keepends=True)
    path = tmp_path / "dump.csv"
    path.write_bytes(b"".join(lines[:200]) + b"what is this?\r\n" + b"".join(lines[200:]))
    done = attempt(data_dir, "binance", path)
    assert done.returncode == PARTIAL
    assert log_reader.count(data_dir, source_data.BINANCE_TOPIC) == len(lines)
    letter, = log_reader.dead_letters(data_dir)
    assert letter["raw"].rstrip() == b"what is this?" and letter["reason"] and letter["source"].endswith(":201"), letter
    assert b"dump.csv:201" in done.stderr or b"dead letter" in done.stderr
    again = attempt(data_dir, "binance", path)
    assert b"1 dead letters (1 there already)" in again.stderr, again.stderr
    assert log_reader.count(data_dir, log_reader.DEAD_LETTER_TOPIC) == 1, "the second load wrote the dead letter again"
    assert again.returncode in (OK, PARTIAL)


def test_a_shuffled_dump_is_the_same_dump(data_dir, tmp_path, binance_trades):
    path = tmp_path / "dump.csv"
    path.write_bytes(shuffled(source_data.BINANCE_DUMP.read_bytes()))
    assert attempt(data_dir, "binance", path).returncode == OK
    assert attempt(data_dir, "binance", source_data.BINANCE_DUMP).returncode == OK
    lake.archive(data_dir)
    rows = lake.query_rows(data_dir, "trades")
    verifier.assert_clean(verifier.check_same("shuffled", binance_trades, [row.content for row in rows]))


def test_a_zipped_dump_is_the_same_dump(data_dir, tmp_path, binance_trades):
    path = tmp_path / "BTCUSDT-trades-2021-01-08.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(source_data.BINANCE_DUMP, "BTCUSDT-trades-2021-01-08.csv")
    assert attempt(data_dir, "binance", path).returncode == OK
    verifier.assert_clean(verifier.check_same("zipped", binance_trades, [r.content for r in log_reader.records(data_dir, source_data.BINANCE_TOPIC)]))


def zip_of(path: pathlib.Path, members: dict[str, bytes]) -> pathlib.Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


BAD_ZIPS = {
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-40]),
    "cut in half": lambda path: path.write_bytes(path.read_bytes()[:path.stat().st_size // 2]),
    "bits flipped inside": lambda path: path.write_bytes(path.read_bytes()[:200] + bytes(50) + path.read_bytes()[250:]),
    "only its first bytes": lambda path: path.write_bytes(b"PK\x03\x04"),
    "two members": lambda path: zip_of(path, {"a.csv": good_dump(), "b.csv": good_dump()}),
    "no member": lambda path: zip_of(path, {}),
    "a bomb": lambda path: zip_of(path, {"a.csv": b"0" * 50_000_000}),
}


@pytest.mark.parametrize("how", BAD_ZIPS)
def test_a_bad_zip_is_refused(data_dir, tmp_path, sample_data, how):
    path = zip_of(tmp_path / "dump.zip", {"dump.csv": good_dump()})
    BAD_ZIPS[how](path)
    done = attempt(data_dir, "binance", path)
    assert done.returncode in (FAILURE, USAGE), done.stderr
    assert b"dump.zip" in done.stderr


def test_a_dump_is_of_the_symbol_that_its_name_says(data_dir, tmp_path, sample_data):
    dump = tmp_path / "BTCUSDT-trades-2021-01-08.csv"
    dump.write_bytes(good_dump())
    inside = zip_of(tmp_path / "renamed.zip", {dump.name: good_dump()})
    for path in (dump, inside):
        done = program.run("load", "binance", path, "--symbol", "ETHUSDT", "--data-dir", data_dir, expect=USAGE)
        assert b"BTCUSDT" in done.stderr and b"ETHUSDT" in done.stderr, done.stderr
    other = tmp_path / "BTCUSDT-aggTrades-2021-01-08.csv"
    other.write_bytes(good_dump())
    assert b"aggTrades" in program.run("load", "binance", other, "--data-dir", data_dir, expect=USAGE).stderr
    assert not data_dir.exists()
    program.run("load", "binance", dump, "--data-dir", data_dir)
    program.run("load", "binance", inside, "--symbol", "BTCUSDT", "--data-dir", data_dir)
    program.run("load", "binance", dump, "--symbol", "ETHUSDT", "--any-name", "--data-dir", data_dir)
    assert {(row.content.symbol) for row in log_reader.records(data_dir, source_data.BINANCE_TOPIC)} == {"BTCUSDT", "ETHUSDT"}
    assert log_reader.count(data_dir, source_data.BINANCE_TOPIC) == 2 * len(good_dump().splitlines())


def test_quotes_given_as_trades_are_refused_before_anything_is_stored(data_dir, sample_data):
    done = attempt(data_dir, "trades", source_data.DATA / "asx" / "quotes" / "7078.csv")
    assert done.returncode == USAGE and b"--quotes" in done.stderr, done.stderr
    assert not data_dir.exists()


@pytest.mark.parametrize("kind", ["binance", "trades", "quotes"])
def test_missing_files_directories_and_devices_are_named(data_dir, tmp_path, sample_data, kind):
    (tmp_path / "7078.csv").mkdir()
    for path in (tmp_path / "absent" / "7078.csv", tmp_path / "7078.csv", pathlib.Path("/dev/null")):
        done = attempt(data_dir, kind, path)
        assert done.returncode in (FAILURE, USAGE), f"{path}: {done.returncode}"
        assert str(path).encode() in done.stderr


def test_a_file_of_an_unknown_company_is_refused(data_dir, tmp_path, sample_data):
    path = tmp_path / "999999.csv"
    path.write_bytes(good_asx())
    done = attempt(data_dir, "trades", path)
    assert done.returncode in (FAILURE, USAGE) and b"999999" in done.stderr


@pytest.mark.parametrize("text", ["", "company_id,symbol\n1,2\n", "\x00" * 1000, "company_id,symbol,company_name,ISIN,start_date,end_date\n7078\n"])
def test_a_bad_reference_file_is_refused(data_dir, tmp_path, sample_data, text):
    reference = tmp_path / "reference.csv"
    reference.write_text(text)
    done = attempt(data_dir, "trades", source_data.ASX_TRADES[0], reference=reference)
    assert done.returncode in (FAILURE, USAGE) and done.stderr


def test_an_unknown_symbol_s_currency_is_never_guessed(data_dir, sample_data):
    done = program.run("load", "binance", source_data.BINANCE_DUMP, "--symbol", "NOSUCHUSDT", "--any-name", "--data-dir", data_dir,
                       expect=None, env={"K2_BINANCE_REST_ENDPOINTS": "https://127.0.0.1:1"})
    assert done.returncode in (FAILURE, USAGE) and b"NOSUCHUSDT" in done.stderr


@pytest.mark.parametrize("victim", ["catalog.db", "log.db"])
@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\0" + bytes(2000)])
def test_a_data_directory_full_of_rubbish_is_an_error(data_dir, sample_data, victim, content):
    data_dir.mkdir()
    (data_dir / victim).write_bytes(content)
    for command in (["load", "binance", source_data.BINANCE_DUMP, "--symbol", "BTCUSDT"], ["archive", "--until-caught-up"],
                    ["query", "trades"], ["lake", "check"]):
        done = program.run(*command, "--data-dir", data_dir, expect=None, binary=BINARY, env=SANITIZERS)
        assert done.returncode in (OK, FAILURE), done.stderr
        assert b"Sanitizer" not in done.stderr
    done = program.run("lake", "check", "--data-dir", data_dir, expect=None)
    assert done.returncode == FAILURE and victim.encode() in done.stderr + done.stdout
