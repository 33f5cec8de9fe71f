"""A small data directory made without k2, by the format pages alone: a log by sqlite3, a table by PyIceberg.

It shows that the verifier reads what the pages describe, and gives it something real to find damage in.
"""

import decimal
import json
import pathlib
import sqlite3
import struct
import uuid

import pyarrow as pa
from pyiceberg.schema import Schema
from pyiceberg.types import DecimalType, IntegerType, ListType, LongType, NestedField, StringType, TimestamptzType, UUIDType

import source_data
import tables
from tables import Stored

TRADE_SCHEMA = (source_data.REPOSITORY / "schemas" / "v2" / "trade.avsc").read_text()
KINDS = {"message_id": UUIDType(), "timestamp": TimestamptzType(), "price": DecimalType(18, 8), "quantity": DecimalType(18, 8),
         "trade_conditions": ListType(100, StringType(), element_required=True), "source_sequence": LongType(),
         "ingestion_timestamp": TimestamptzType(), "log_partition": IntegerType(), "log_offset": LongType()}
COLUMNS = [*(name.removesuffix("_us") for name in source_data.Trade._fields), "ingestion_timestamp", "log_topic", "log_partition", "log_offset"]
SCHEMAS = {"trades_v2": COLUMNS, "quotes_v2": [name.removesuffix("_us") for name in source_data.Quote._fields] + COLUMNS[-4:]}


def zigzag(number: int) -> bytes:
    return varint(number << 1 ^ number >> 63)


def varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out + bytes([number]))


def text(value: str) -> bytes:
    return zigzag(len(value.encode())) + value.encode()


def decimal_bytes(number: int) -> bytes:
    raw = number.to_bytes(8, "big", signed=True)
    return zigzag(len(raw)) + raw


def encode(trade: source_data.Trade, ingestion_us: int) -> bytes:
    """TradeV2 in the wire format, schema id 1."""
    vendor = json.loads(trade.vendor_data) if trade.vendor_data else None
    pairs = b"".join(text(key) + text(value) for key, value in (vendor or {}).items())
    conditions = b"".join(map(text, trade.trade_conditions))
    return b"".join([
        b"\0\0\0\0\1", text(trade.message_id), text(trade.trade_id), text(trade.symbol), text(trade.exchange),
        zigzag(["equities", "crypto"].index(trade.asset_class)), zigzag(trade.timestamp_us), decimal_bytes(trade.price),
        decimal_bytes(trade.quantity), text(trade.currency), zigzag(["BUY", "SELL", "SELL_SHORT", "UNKNOWN"].index(trade.side)),
        zigzag(len(trade.trade_conditions)) + conditions + b"\0" if conditions else b"\0", b"\2" + zigzag(trade.source_sequence),
        zigzag(ingestion_us), b"\0" if vendor is None else b"\2" + zigzag(len(vendor)) + pairs + b"\0"])


def write_log(data_dir: pathlib.Path, rows: list[Stored], batch: int = 40) -> None:
    with sqlite3.connect(data_dir / "log.db") as db:
        db.executescript("""
            CREATE TABLE topics(topic_id INTEGER PRIMARY KEY, name TEXT UNIQUE, partitions INTEGER);
            CREATE TABLE partitions(partition_id INTEGER PRIMARY KEY, topic_id, partition, begin_offset, end_offset);
            CREATE TABLE batches(batch_id INTEGER PRIMARY KEY, partition_id, first_offset, next_offset, timestamp_max, data BLOB);
            CREATE TABLE schemas(schema_id INTEGER PRIMARY KEY, text TEXT UNIQUE);""")
        db.execute("INSERT INTO schemas VALUES (1, ?)", (TRADE_SCHEMA,))
        db.execute("INSERT INTO topics VALUES (1, ?, 1)", (rows[0].topic,))
        db.execute("INSERT INTO partitions VALUES (1, 1, 0, 0, ?)", (len(rows),))
        for first in range(0, len(rows), batch):
            part = rows[first:first + batch]
            records = b""
            for row in part:
                key, value = row.content.symbol.encode(), encode(row.content, row.ingestion_us)
                records += varint(len(key)) + varint(len(value)) + zigzag(row.ingestion_us - part[0].ingestion_us) + key + value
            blob = struct.pack("<4sIIIqq", b"K2B1", 0, 1, len(part), first, part[0].ingestion_us) + records
            db.execute("INSERT INTO batches(partition_id, first_offset, next_offset, data) VALUES (1, ?, ?, ?)", (first, first + len(part), blob))
    db.close()


def arrow_rows(rows: list[Stored], schema: pa.Schema) -> pa.Table:
    columns = {}
    for name, values in zip(COLUMNS, zip(*([*row.content, *row[1:]] for row in rows))):
        if name == "message_id":
            values = [uuid.UUID(value).bytes for value in values]
        elif name in ("price", "quantity"):
            values = [decimal_of(value) for value in values]
        elif name == "trade_conditions":
            values = [list(value) for value in values]
        columns[name] = values
    columns = {name: pa.array(values, type=storage(schema.field(name).type)).cast(schema.field(name).type) for name, values in columns.items()}
    return pa.table(columns, schema=schema)


def storage(kind: pa.DataType) -> pa.DataType:
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def decimal_of(number: int):
    return decimal.Decimal(number).scaleb(-8)


def make(data_dir: pathlib.Path, rows: list[Stored], commit: int = 50) -> pathlib.Path:
    """Log and tables with the same rows, committed in steps as k2 does it."""
    data_dir.mkdir(parents=True)
    write_log(data_dir, rows)
    catalog = tables.catalog(data_dir)
    catalog.create_tables()
    catalog.create_namespace(tables.NAMESPACE)
    for name, columns in SCHEMAS.items():
        fields = [NestedField(at + 1, column, KINDS.get(column, DecimalType(18, 8) if column.endswith(("price", "quantity")) else StringType()),
                              required=column not in ("vendor_data", "source_sequence")) for at, column in enumerate(columns)]
        catalog.create_table(f"{tables.NAMESPACE}.{name}", Schema(*fields))
    table = catalog.load_table(f"{tables.NAMESPACE}.trades_v2")
    for first in range(0, len(rows), commit):
        part = rows[first:first + commit]
        summary = {"k2.offsets": json.dumps({rows[0].topic: {"0": first + len(part)}}), "k2.log-id": "model", "k2.commit-id": str(uuid.uuid4())}
        table.append(arrow_rows(part, table.schema().as_arrow()), snapshot_properties=summary)
    return data_dir
