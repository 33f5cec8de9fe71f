"""What the source files say, read by Python's own csv, Decimal and zoneinfo.

This is the expectation everything else is compared with. It shares no code with k2: the rules come from docs/mappings.md and
docs/formats/message-id.md. Prices and quantities are integers in units of 1e-8, timestamps are microseconds since the epoch, UTC.
"""

import csv
import datetime
import decimal
import hashlib
import json
import os
import pathlib
import typing
import uuid
import zoneinfo

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
DATA = pathlib.Path(os.environ.get("K2_TEST_DATA", REPOSITORY.parent / "shared" / "data"))

ASX_REFERENCE = DATA / "asx" / "reference" / "company_info.csv"
ASX_COMPANIES = {"7078": "BHP", "7458": "RIO", "7181": "DVN", "3153": "MWR"}
ASX_TRADES = [DATA / "asx" / "trades" / f"{company}.csv" for company in ASX_COMPANIES]
ASX_QUOTES = [DATA / "asx" / "quotes" / f"{company}.csv" for company in ASX_COMPANIES]
ASX_TRADE_COUNT = {"BHP": 91_631, "RIO": 108_671, "DVN": 232, "MWR": 11}
ASX_QUOTE_COUNT = {"BHP": 77_849, "RIO": 91_171, "DVN": 549, "MWR": 60}
BINANCE_DUMP = DATA / "binance" / "BTCUSDT-trades-2021-01-08.csv"
BINANCE_COUNT = 2_001

ASX_TRADE_TOPIC = "market.equities.trades.asx"
ASX_QUOTE_TOPIC = "market.equities.quotes.asx"
BINANCE_TOPIC = "market.crypto.trades.binance"

SYDNEY = zoneinfo.ZoneInfo("Australia/Sydney")
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


class Trade(typing.NamedTuple):
    """A trade's content: everything but when k2 got it and where the log put it."""

    message_id: str
    trade_id: str
    symbol: str
    exchange: str
    asset_class: str
    timestamp_us: int
    price: int
    quantity: int
    currency: str
    side: str
    trade_conditions: tuple
    source_sequence: int | None
    vendor_data: str | None


class Quote(typing.NamedTuple):
    message_id: str
    quote_id: str
    symbol: str
    exchange: str
    asset_class: str
    timestamp_us: int
    bid_price: int
    bid_quantity: int
    ask_price: int
    ask_quantity: int
    currency: str
    source_sequence: int | None
    vendor_data: str | None


def units(text: str) -> int:
    """A decimal text as an integer of 1e-8; a text that does not fit exactly is an error."""
    scaled = decimal.Decimal(text).scaleb(8)
    whole = int(scaled)
    assert whole == scaled, text
    return whole


def message_id(exchange: str, symbol: str, channel: str, sequence: int) -> str:
    """docs/formats/message-id.md: 48 + 12 bits of SHA-256, version 8, the RFC's variant, 62 bits of sequence."""
    digest = hashlib.sha256(f"{exchange}\n{symbol}\n{channel}".encode()).hexdigest()
    number = int(digest[:12], 16) << 80 | 8 << 76 | int(digest[12:15], 16) << 64 | 0b10 << 62 | sequence
    return str(uuid.UUID(int=number))


def ordinal_sequence(day: datetime.date, ordinal: int) -> int:
    """Of a row in a source without ids: local trading day, then the ordinal in that (symbol, day), 40 bits."""
    return (day - EPOCH.date()).days << 40 | ordinal


def vendor_json(**fields: str) -> str:
    """vendor_data as its one spelling: keys sorted, no spaces, absent where the source's field is empty."""
    return json.dumps({key: value for key, value in sorted(fields.items()) if value}, separators=(",", ":"), ensure_ascii=False)


def asx_rows(path: pathlib.Path):
    """(symbol, local day, ordinal of the day, timestamp_us, fields) of each line."""
    symbol = ASX_COMPANIES[path.stem]
    midnights: dict[str, tuple[datetime.date, int]] = {}
    ordinals: dict[str, int] = {}
    with open(path, newline="", encoding="ascii") as lines:
        for fields in csv.reader(lines):
            date, time = fields[0], fields[1]
            if date not in midnights:
                midnights[date] = local_midnight(date)
            day, midnight_us = midnights[date]
            ordinal = ordinals.get(date, 0)
            ordinals[date] = ordinal + 1
            hours, minutes, seconds = time.split(":")
            since_midnight_us = (int(hours) * 3600 + int(minutes) * 60) * 1_000_000 + int(decimal.Decimal(seconds) * 1_000_000)
            yield symbol, day, ordinal, midnight_us + since_midnight_us, fields


def local_midnight(date: str) -> tuple[datetime.date, int]:
    """A date as MM/DD/YYYY: the day, and its start in Sydney. No day of the sample has a change of clocks."""
    month, day, year = map(int, date.split("/"))
    start = datetime.datetime(year, month, day, tzinfo=SYDNEY)
    return start.date(), (start - EPOCH) // datetime.timedelta(microseconds=1)


def asx_trades(paths=None) -> list[Trade]:
    trades = []
    for path in paths or ASX_TRADES:
        for symbol, day, ordinal, timestamp_us, fields in asx_rows(path):
            _, _, price, volume, qualifiers, venue, buyer_id = fields
            sequence = ordinal_sequence(day, ordinal)
            trades.append(Trade(
                message_id=message_id("asx", symbol, "trades", sequence),
                trade_id=f"{symbol}-{day.isoformat()}-{ordinal}",
                symbol=symbol, exchange="asx", asset_class="equities", timestamp_us=timestamp_us,
                price=units(price), quantity=units(volume), currency="AUD", side="UNKNOWN",
                trade_conditions=(qualifiers,) if qualifiers else (),
                source_sequence=sequence,
                vendor_data=vendor_json(company_id=path.stem, qualifiers=qualifiers, venue=venue, buyer_id=buyer_id)))
    return trades


def asx_quotes(paths=None) -> list[Quote]:
    quotes = []
    for path in paths or ASX_QUOTES:
        for symbol, day, ordinal, timestamp_us, fields in asx_rows(path):
            _, _, bid, ask, bid_volume, ask_volume = fields
            sequence = ordinal_sequence(day, ordinal)
            quotes.append(Quote(
                message_id=message_id("asx", symbol, "quotes", sequence),
                quote_id=f"{symbol}-{day.isoformat()}-{ordinal}",
                symbol=symbol, exchange="asx", asset_class="equities", timestamp_us=timestamp_us,
                bid_price=units(bid), bid_quantity=units(bid_volume), ask_price=units(ask), ask_quantity=units(ask_volume),
                currency="AUD", source_sequence=sequence, vendor_data=vendor_json(company_id=path.stem)))
    return quotes


def binance_trade(symbol: str, currency: str, trade_id: int, price: str, quantity: str, time: int, buyer_is_maker: bool,
                  vendor_data: str | None) -> Trade:
    """Times of 1e14 and more are microseconds, others milliseconds (Binance's dumps changed on 2025-01-01)."""
    return Trade(
        message_id=message_id("binance", symbol, "trades", trade_id), trade_id=str(trade_id), symbol=symbol, exchange="binance",
        asset_class="crypto", timestamp_us=time if time >= 10**14 else time * 1000, price=units(price), quantity=units(quantity),
        currency=currency, side="SELL" if buyer_is_maker else "BUY", trade_conditions=(), source_sequence=trade_id,
        vendor_data=vendor_data)


def dump_lines(path: pathlib.Path = BINANCE_DUMP) -> list[list[str]]:
    with open(path, newline="", encoding="ascii") as lines:
        return list(csv.reader(lines))


def binance_vendor_data(buyer_is_maker: bool, best_match: bool) -> str:
    """docs/mappings.md: the flags that have no standard field, as Binance's stream names them, sorted."""
    return json.dumps({"is_best_match": str(best_match).lower(), "is_buyer_maker": str(buyer_is_maker).lower()}, separators=(",", ":"))


def binance_trades(path: pathlib.Path = BINANCE_DUMP) -> list[Trade]:
    trades = []
    for trade_id, price, quantity, _, time, buyer_is_maker, best_match in dump_lines(path):
        maker = buyer_is_maker == "True"
        trades.append(binance_trade("BTCUSDT", "USDT", int(trade_id), price, quantity, int(time), maker,
                                    binance_vendor_data(maker, best_match == "True")))
    return trades


def sums(trades) -> dict[str, tuple[int, int, int]]:
    """symbol: (count, sum of quantity in 1e-8, sum of price x quantity in 1e-16), exact."""
    totals: dict[str, tuple[int, int, int]] = {}
    for trade in trades:
        count, quantity, value = totals.get(trade.symbol, (0, 0, 0))
        totals[trade.symbol] = count + 1, quantity + trade.quantity, value + trade.price * trade.quantity
    return totals
