"""Reads the tables as strangers do: by PyIceberg, and by DuckDB's own iceberg_scan on the current metadata."""

import array
import importlib
import json
import pathlib
import sqlite3
import typing
import uuid

import duckdb
import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog

from source_data import Quote, Trade

NAMESPACE = "market_data"


class Coverage(typing.NamedTuple):
    """A statement of market_data.coverage."""

    exchange: str
    symbol: str
    channel: str
    first_sequence: int
    last_sequence: int
    timestamp: int
    end_timestamp: int
    status: str
    reason: str | None


class Stored(typing.NamedTuple):
    """A row of a table or a record of the log: its content, when k2 got it, and its place in the log."""

    content: Trade | Quote | Coverage
    ingestion_us: int
    topic: str
    partition: int
    offset: int


def catalog(data_dir: pathlib.Path) -> SqlCatalog:
    root = pathlib.Path(data_dir).resolve()
    return SqlCatalog("k2", uri=f"sqlite:///{root}/catalog.db", warehouse=f"file://{root}/warehouse")


def table(data_dir: pathlib.Path, name: str):
    return catalog(data_dir).load_table(f"{NAMESPACE}.{name}")


def metadata_path(data_dir: pathlib.Path, name: str) -> pathlib.Path:
    """The current metadata file, by the catalog's own row: not even PyIceberg is asked."""
    with sqlite3.connect(f"file:{data_dir}/catalog.db?mode=ro", uri=True) as db:
        row = db.execute("SELECT metadata_location FROM iceberg_tables WHERE catalog_name='k2' AND table_namespace=? AND table_name=?",
                         (NAMESPACE, name)).fetchone()
    assert row, f"no table {name} in {data_dir}/catalog.db"
    return pathlib.Path("/" + row[0].removeprefix("file:").lstrip("/"))


def metadata(data_dir: pathlib.Path, name: str) -> dict:
    return json.loads(metadata_path(data_dir, name).read_text())


def by_pyiceberg(data_dir: pathlib.Path, name: str, snapshot_id: int | None = None) -> list[Stored]:
    return stored(table(data_dir, name).scan(snapshot_id=snapshot_id).to_arrow(), name)


def by_duckdb(data_dir: pathlib.Path, name: str) -> list[Stored]:
    result = duckdb_connection().execute(f"SELECT * FROM iceberg_scan('{metadata_path(data_dir, name)}')")
    return stored(result.to_arrow_table(), name)


def duckdb_sums(data_dir: pathlib.Path) -> dict[str, tuple[int, int, int]]:
    """As source_data.sums, but computed by DuckDB's SQL. A product of two decimal(18,8) needs a wider type."""
    rows = duckdb_connection().execute(f"""
        SELECT symbol, count(*), sum(quantity), sum(price::DECIMAL(19,8) * quantity::DECIMAL(19,8))
        FROM iceberg_scan('{metadata_path(data_dir, "trades_v2")}') GROUP BY symbol""").fetchall()
    return {symbol: (count, int(quantity.scaleb(8)), int(value.scaleb(16))) for symbol, count, quantity, value in rows}


def duckdb_connection() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    for name in ("avro", "httpfs", "iceberg"):
        package = pathlib.Path(importlib.import_module(f"duckdb_extension_{name}").__file__).parent
        connection.execute(f"LOAD '{next(package.glob(f'extensions/v*/{name}.duckdb_extension'))}'")
    connection.execute("SET TimeZone='UTC'")
    return connection


def stored(rows: pa.Table, name: str) -> list[Stored]:
    """Arrow rows as our plain ones. The column names decide; the order of columns does not."""
    rows = rows.combine_chunks()
    kind = {"quotes_v2": Quote, "coverage": Coverage}.get(name, Trade)
    content = zip(*(column(rows, "timestamp" if field == "timestamp_us" else field) for field in kind._fields))
    places = zip(*(column(rows, field) for field in ("ingestion_timestamp", "log_topic", "log_partition", "log_offset")))
    return [Stored(kind(*values), *place) for values, place in zip(content, places)]


def column(rows: pa.Table, name: str) -> list:
    """A column's values: decimals as integers of their last digit, timestamps as microseconds, uuids as text, lists as tuples."""
    field = rows.column(name)
    values = []
    for chunk in field.chunks:
        kind = chunk.type
        if pa.types.is_decimal(kind):
            assert kind.scale == 8 and chunk.null_count == 0, f"{name}: {kind}, {chunk.null_count} nulls"
            values += decimal_units(chunk)
        elif pa.types.is_timestamp(kind):
            assert kind.unit == "us" and kind.tz, f"{name}: {kind}"
            values += chunk.cast(pa.int64()).to_pylist()
        elif name == "message_id":
            values += [value if isinstance(value, str) else str(value if isinstance(value, uuid.UUID) else uuid.UUID(bytes=value))
                       for value in chunk.to_pylist()]
        elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
            values += map(tuple, chunk.to_pylist())
        else:
            values += chunk.to_pylist()
    return values


def decimal_units(chunk: pa.Array) -> list[int]:
    """The unscaled values, from the buffer: 18 digits fit the lower 64 of the 128 bits."""
    if chunk.type.byte_width != 16:
        chunk = chunk.cast(pa.decimal128(chunk.type.precision, chunk.type.scale))
    words = array.array("q")
    words.frombytes(chunk.buffers()[1].to_pybytes())
    return words[2 * chunk.offset:2 * (chunk.offset + len(chunk)):2].tolist()
