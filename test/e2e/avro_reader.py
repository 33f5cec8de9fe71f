"""A small Avro binary decoder, driven by the schema's JSON: enough for the records k2 writes, and sharing nothing with k2.

Source: Avro 1.12 specification, "Binary encoding".
"""

import json
import pathlib
import struct
import uuid


class Decoder:
    """Reads one value after another from bytes."""

    def __init__(self, data: bytes, at: int = 0):
        self.data, self.at = data, at

    def long(self) -> int:
        number = shift = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return (number >> 1) ^ -(number & 1)
            shift += 7

    def bytes(self) -> bytes:
        size = self.long()
        assert 0 <= size <= len(self.data) - self.at, "length past the end"
        self.at += size
        return self.data[self.at - size:self.at]

    def blocks(self):
        """One step for each item of an array or a map."""
        while (count := self.long()) != 0:
            if count < 0:
                self.long()  # the block's size in bytes, for those who skip
                count = -count
            yield from range(count)

    def value(self, schema, names: dict):
        if isinstance(schema, str) and schema in names:
            schema = names[schema]
        if isinstance(schema, list):
            return self.value(schema[self.long()], names)
        kind = schema if isinstance(schema, str) else schema["type"]
        logical = None if isinstance(schema, str) else schema.get("logicalType")
        match kind:
            case "null":
                return None
            case "boolean":
                self.at += 1
                return self.data[self.at - 1] == 1
            case "int" | "long":
                return self.long()
            case "string":
                text = self.bytes().decode()
                return str(uuid.UUID(text)) if logical == "uuid" else text
            case "bytes":
                raw = self.bytes()
                return int.from_bytes(raw, "big", signed=True) if logical == "decimal" else raw
            case "fixed":
                self.at += schema["size"]
                raw = self.data[self.at - schema["size"]:self.at]
                return str(uuid.UUID(bytes=raw)) if logical == "uuid" else raw
            case "double":
                self.at += 8
                return struct.unpack("<d", self.data[self.at - 8:self.at])[0]
            case "enum":
                names[schema["name"]] = schema
                return schema["symbols"][self.long()]
            case "array":
                return [self.value(schema["items"], names) for _ in self.blocks()]
            case "map":
                return dict((self.bytes().decode(), self.value(schema["values"], names)) for _ in self.blocks())
            case "record":
                names[schema["name"]] = schema
                return {field["name"]: self.value(field["type"], names) for field in schema["fields"]}
            case dict() | list():
                return self.value(kind, names)
        raise ValueError(f"unknown type {kind!r}")


def load_schema(path: pathlib.Path):
    return json.loads(path.read_text())


def decode_wire(message: bytes, schema) -> tuple[int, dict]:
    """A message in Confluent's wire format: (schema id, record). The record must end where the message ends."""
    assert message[:1] == b"\0", f"magic byte {message[:1]!r}"
    decoder = Decoder(message, 5)
    record = decoder.value(schema, {})
    assert decoder.at == len(message), f"{len(message) - decoder.at} bytes left over"
    return int.from_bytes(message[1:5], "big"), record
