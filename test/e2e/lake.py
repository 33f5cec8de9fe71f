"""The words the tests speak to a data directory with: load, archive, query."""

import io
import json
import pathlib

import pyarrow as pa

import program
import source_data
import tables


def load_asx(data_dir, trades=(), quotes=(), **options):
    paths = [part for flag, files in (("--trades", trades), ("--quotes", quotes)) for path in files for part in (flag, path)]
    return program.run("load", "asx", "--data-dir", data_dir, "--reference", source_data.ASX_REFERENCE, *paths, **options)


def load_binance(data_dir, *paths, symbol="BTCUSDT", **options):
    return program.run("load", "binance", "--data-dir", data_dir, *paths, "--symbol", symbol, **options)


def archive(data_dir, **options):
    return program.run("archive", "--data-dir", data_dir, "--until-caught-up", **options)


def load_everything(data_dir) -> None:
    load_asx(data_dir, source_data.ASX_TRADES, source_data.ASX_QUOTES)
    load_binance(data_dir, source_data.BINANCE_DUMP)
    archive(data_dir)


def sql(data_dir, statement: str, **options) -> list[dict]:
    """Rows as JSON has them; exact numbers come as text."""
    return json_rows(program.run("sql", "--data-dir", data_dir, statement, "-o", "ndjson", **options).stdout)


def json_rows(output: bytes) -> list[dict]:
    return [json.loads(line) for line in output.splitlines() if line.strip()]


def query_rows(data_dir, channel: str, *arguments, **options) -> list[tables.Stored]:
    """k2 query trades|quotes, as Arrow, as the same plain rows the foreign readers give."""
    output = program.run("query", channel, "--data-dir", data_dir, *arguments, "-o", "arrow", **options).stdout
    return tables.stored(arrow_table(output), f"{channel}_v2")


def arrow_table(output: bytes) -> pa.Table:
    """An Arrow IPC stream, or file."""
    if output.startswith(b"ARROW1"):
        return pa.ipc.open_file(io.BytesIO(output)).read_all()
    return pa.ipc.open_stream(io.BytesIO(output)).read_all()


def warehouse_files(data_dir, name: str, pattern: str) -> list[pathlib.Path]:
    """Files of one table; the directory's name is read from its metadata's location, not assumed."""
    root = tables.metadata_path(data_dir, name).parent.parent
    return sorted(root.rglob(pattern))
