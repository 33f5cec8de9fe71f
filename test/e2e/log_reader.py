"""Reads the log's file as docs/formats/local-log.md describes it: sqlite3 and a decoder of our own, nothing of k2.

Read-only, one short transaction per question, so that a running k2 is never held up.
"""

import json
import pathlib
import sqlite3
import struct

import avro_reader
from source_data import Quote, Trade
from tables import Coverage, Stored

DEAD_LETTER_TOPIC = "market.dead_letter"
HEADER = struct.Struct("<4sIIIqq")


class LogFile:
    """An open log. A context manager; a log that is not there yet has no partitions."""

    def __init__(self, data_dir: pathlib.Path):
        self.path = pathlib.Path(data_dir) / "log.db"
        self.db: sqlite3.Connection | None = None
        self.schemas: dict[int, dict] = {}

    def __enter__(self) -> "LogFile":
        return self

    def __exit__(self, *_):
        if self.db:
            self.db.close()

    def ask(self, statement: str, *values) -> list[tuple]:
        if self.db is None:
            if not self.path.exists():
                return []
            self.db = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=30)
        try:
            return self.db.execute(statement, values).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):  # the file is being made
                return []
            raise

    def end_offsets(self) -> dict[tuple[str, int], int]:
        rows = self.ask("SELECT name, partition, end_offset FROM partitions JOIN topics USING (topic_id)")
        return {(topic, partition): end for topic, partition, end in rows}

    def messages(self, topic: str, partition: int, start: int = 0, end: int | None = None):
        """(offset, key, value) of the partition's records in [start, end). Checks what the format promises on the way."""
        rows = self.ask("""SELECT p.partition_id, first_offset, next_offset, data FROM batches b
            JOIN partitions p USING (partition_id) JOIN topics USING (topic_id)
            WHERE name = ? AND partition = ? AND next_offset > ? AND first_offset < ? ORDER BY first_offset""",
                        topic, partition, start, 2**62 if end is None else end)
        expected = None
        for partition_id, first, after, blob in rows:
            assert expected in (None, first), f"{topic}/{partition}: a batch at {first} follows one that ended at {expected}"
            expected = after
            for offset, key, value in decode_batch(blob, partition_id, first, after):
                if offset >= start and (end is None or offset < end):
                    yield offset, key, value

    def records(self, topic: str, partition: int, start: int = 0, end: int | None = None) -> list[Stored]:
        """The same, decoded: trades, quotes and coverage."""
        kind = Quote if ".quotes." in topic else Coverage if ".coverage." in topic else Trade
        return [as_stored(kind, self.decode(value), topic, partition, offset)
                for offset, _, value in self.messages(topic, partition, start, end)]

    def decode(self, message: bytes) -> dict:
        schema_id = int.from_bytes(message[1:5], "big")
        if schema_id not in self.schemas:
            (text,), = self.ask("SELECT text FROM schemas WHERE schema_id = ?", schema_id)
            self.schemas[schema_id] = json.loads(text)
        return avro_reader.decode_wire(message, self.schemas[schema_id])[1]


def varint(blob: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = blob[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7


def decode_batch(blob: bytes, partition_id: int, first: int, after: int):
    """(offset, key, value) of a batch blob; its header must say what its row says. The checksum is left to k2."""
    magic, _, batch_partition, count, first_offset, _ = HEADER.unpack_from(blob)
    assert (magic, batch_partition, first_offset, first_offset + count) == (b"K2B1", partition_id, first, after), (magic, count, first, after)
    at = HEADER.size
    for offset in range(first, after):
        key_size, at = varint(blob, at)
        value_size, at = varint(blob, at)
        _, at = varint(blob, at)
        yield offset, blob[at:at + key_size], blob[at + key_size:at + key_size + value_size]
        at += key_size + value_size
    assert at == len(blob), f"{len(blob) - at} bytes follow the last record"


def as_stored(kind, record: dict, topic: str, partition: int, offset: int) -> Stored:
    values = {name.removesuffix("_us") if name == "timestamp_us" else name: None for name in kind._fields}
    values.update({name: record[name] for name in values})
    if kind is Coverage:
        return Stored(kind(*values.values()), record["ingestion_timestamp"], topic, partition, offset)
    if "trade_conditions" in values:
        values["trade_conditions"] = tuple(values["trade_conditions"])
    if values["vendor_data"] is not None:
        values["vendor_data"] = json.dumps(values["vendor_data"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return Stored(kind(*values.values()), record["ingestion_timestamp"], topic, partition, offset)


def count(data_dir: pathlib.Path, topic: str) -> int:
    """Records of a topic, by its end offsets; 0 while there is no log."""
    with LogFile(data_dir) as log:
        return sum(end for (name, _), end in log.end_offsets().items() if name == topic)


def records(data_dir: pathlib.Path, topic: str) -> list[Stored]:
    with LogFile(data_dir) as log:
        return [record for name, partition in log.end_offsets() if name == topic for record in log.records(name, partition)]


def dead_letters(data_dir: pathlib.Path) -> list[dict]:
    with LogFile(data_dir) as log:
        return [log.decode(value) for name, partition in log.end_offsets() if name == DEAD_LETTER_TOPIC
                for _, _, value in log.messages(name, partition)]
