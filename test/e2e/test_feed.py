"""The WebSocket feed: the same trades as a dump, from k2's simulator and from a stranger's server, whatever frames it sends."""

import json
import time

import pytest

import lake
import log_reader
import source_data
import verifier
from exchanges import feed, sim_playing_file, start_sim
from foreign_exchange import ForeignExchange, make_certificate, recorded_frames, trade_frame

TOPIC = source_data.BINANCE_TOPIC


@pytest.fixture
def exchange(tmp_path):
    """A foreign exchange behind TLS with a certificate of its own; `ca` is what to trust."""
    certificate = make_certificate(tmp_path)
    with ForeignExchange(certificate) as server:
        server.ca = certificate[0]
        yield server


def logged(data_dir, topic: str = TOPIC) -> int:
    return log_reader.count(data_dir, topic)


def check_same_as_the_dump(data_dir, expected) -> None:
    lake.archive(data_dir)
    rows = lake.query_rows(data_dir, "trades")
    verifier.assert_clean(verifier.check_same("from the socket", expected, [row.content for row in rows]), verifier.check_lake(data_dir))


def test_the_simulator_s_stream_gives_the_same_rows_as_the_dump(start, data_dir, binance_trades):
    market = sim_playing_file(start, data_dir.parent)
    running = feed(start, data_dir, market.url, market.ca)
    running.wait_until(lambda: logged(data_dir) >= len(binance_trades), "all trades of the file", seconds=60)
    assert running.stop() == 0
    check_same_as_the_dump(data_dir, binance_trades)


@pytest.mark.parametrize("file", [(), ("--file", source_data.BINANCE_DUMP, "--play-rate", "200", "--now")], ids=["random", "file"])
def test_the_simulator_s_trades_are_of_now_however_long_it_waited_for_a_client(start, data_dir, tmp_path, file):
    market = start_sim(start, tmp_path, *file)
    idle_s, late_us_max = 4, 2_000_000
    time.sleep(idle_s)
    running = feed(start, data_dir, market.url, market.ca)
    running.wait_until(lambda: logged(data_dir) >= 20, "trades")
    assert running.stop() == 0
    lake.archive(data_dir)
    rows = lake.query_rows(data_dir, "trades")
    assert len(rows) >= 20
    assert all(-1000 <= row.ingestion_us - row.content.timestamp_us < late_us_max for row in rows)


def test_trades_off_the_grid_that_the_venue_states_are_kept_and_said_once(start, data_dir, tmp_path):
    file = tmp_path / "odd.csv"
    prices = ["10.01", "10.005", "10.006", "10.02"]
    file.write_text("".join(f"{i},{price},1.000001,10,1610064000{i:03},True,True\n" for i, price in enumerate(prices, 1)))
    market = start_sim(start, tmp_path, "--file", file, "--speed", "0")
    running = start("feed", "binance", "--data-dir", data_dir, "--symbols", "BTCUSDT", "--endpoint", market.url, "--ca-file", market.ca,
                    env={"K2_BINANCE_REST_ENDPOINTS": market.rest}, name="feed")
    running.wait_until(lambda: logged(data_dir) >= len(prices), "all trades")
    assert running.stop() == 0
    said = [line for line in running.talk_file.read_text().splitlines() if "trade_off_grid" in line]
    assert len(said) == 1 and "10.00500000" in said[0] and "0.01000000" in said[0]
    lake.archive(data_dir)
    assert len(lake.query_rows(data_dir, "trades")) == len(prices)


def test_after_the_stream_the_dump_adds_nothing(start, data_dir, exchange, binance_trades):
    running = feed(start, data_dir, exchange.url(), exchange.ca)
    exchange.wait_for_client()
    exchange.send(trade_frame(line) for line in source_data.dump_lines())
    running.wait_until(lambda: logged(data_dir) >= len(binance_trades), "all trades")
    lake.load_binance(data_dir, source_data.BINANCE_DUMP)
    assert logged(data_dir) == len(binance_trades)
    assert running.stop() == 0


@pytest.mark.parametrize("old", [False, True], ids=["new frames", "frames with b and a"])
@pytest.mark.parametrize("microseconds", [False, True], ids=["ms", "us"])
def test_a_foreign_server_feeds_it_as_well(start, data_dir, exchange, binance_trades, old, microseconds):
    running = feed(start, data_dir, exchange.url(), exchange.ca)
    exchange.wait_for_client()
    exchange.send(trade_frame(line, old=old, microseconds=microseconds) for line in source_data.dump_lines())
    running.wait_until(lambda: logged(data_dir) >= len(binance_trades), "all trades")
    assert running.stop() == 0
    check_same_as_the_dump(data_dir, binance_trades)


def test_without_tls_and_with_everything_twice(start, data_dir, binance_trades):
    with ForeignExchange() as plain:
        running = feed(start, data_dir, plain.url())
        plain.wait_for_client()
        lines = source_data.dump_lines()
        plain.send(trade_frame(line) for line in lines[:1500])
        plain.send(trade_frame(line) for line in lines[1000:])
        running.wait_until(lambda: logged(data_dir) >= len(binance_trades), "all trades")
        assert running.stop() == 0
    check_same_as_the_dump(data_dir, binance_trades)


def test_a_certificate_nobody_vouches_for_is_refused(start, data_dir, exchange):
    running = feed(start, data_dir, exchange.url(), ca=None)
    running.wait_until(lambda: b"certificate" in running.talk_file.read_bytes().lower(), "word about the certificate")
    assert not exchange.paths


@pytest.mark.parametrize("how", ["cut", "close"])
def test_it_comes_back_after_the_server_went_away(start, data_dir, exchange, binance_trades, how):
    running = feed(start, data_dir, exchange.url(), exchange.ca)
    lines = source_data.dump_lines()
    exchange.wait_for_client()
    exchange.send(trade_frame(line) for line in lines[:1000])
    running.wait_until(lambda: logged(data_dir) >= 1000, "the first half")
    connections = len(exchange.paths)
    if how == "cut":
        exchange.cut()
    else:
        exchange.close()
        exchange.open()
    exchange.wait_for_client(connections + 1)
    exchange.send(trade_frame(line) for line in lines[900:])
    running.wait_until(lambda: logged(data_dir) >= len(binance_trades), "the second half")
    assert running.stop() == 0
    check_same_as_the_dump(data_dir, binance_trades)


GOOD = '{"e":"trade","E":1610064000278,"s":"BTCUSDT","t":1,"p":"1.0","q":"1.0","T":1610064000278,"m":true,"M":true}'
GARBAGE = [
    "", "{", "null", "not json", "\x00\x01\x02", '{"stream":"btcusdt@trade"}', '{"stream":"btcusdt@trade","data":{}}',
    '{"stream":"btcusdt@trade","data":null}', "[" * 10_000, '{"e":"trade"' + ',"x":1' * 10_000 + "}",
    GOOD.replace('"p":"1.0"', '"p":"NaN"'), GOOD.replace('"p":"1.0"', '"p":"1e400"'), GOOD.replace('"p":"1.0"', '"p":"0.000000001"'),
    GOOD.replace('"p":"1.0"', '"p":"99999999999"'), GOOD.replace('"p":"1.0"', '"p":1.0'), GOOD.replace('"p":"1.0",', ""),
    GOOD.replace('"t":1', '"t":-1'), GOOD.replace('"t":1', '"t":9223372036854775808'), GOOD.replace('"t":1', '"t":"1"'),
    GOOD.replace('"T":1610064000278', '"T":-1'), GOOD.replace('"T":1610064000278', '"T":99999999999999999999'),
    GOOD.replace('"m":true', '"m":"true"'), GOOD.replace('"s":"BTCUSDT"', '"s":"NOSUCHCOIN"'), GOOD.replace('"s":"BTCUSDT"', '"s":""'),
    GOOD.replace('"q":"1.0"', '"q":"1.0","q":"2.0"'), GOOD[:-20],
]


def test_garbage_ends_as_dead_letters_and_the_feed_goes_on(start, data_dir, exchange, binance_trades):
    running = feed(start, data_dir, exchange.url(), exchange.ca)
    exchange.wait_for_client()
    lines = source_data.dump_lines()
    exchange.send(trade_frame(line) for line in lines[:100])
    exchange.send(GARBAGE)
    exchange.send([b"\xff\xfe binary \x00 frame"])
    exchange.send(recorded_frames())
    exchange.send(trade_frame(line) for line in lines[100:])
    running.wait_until(lambda: logged(data_dir) >= len(binance_trades), "all trades, garbage or not")
    assert running.stop() == 0
    letters = log_reader.dead_letters(data_dir)
    assert len([letter for letter in letters if "bookTicker" not in letter["reason"]]) >= len(GARBAGE) + 1, "one for each, and for the binary frame"
    assert all(letter["reason"] and letter["source"] for letter in letters)
    raw = {letter["raw"] for letter in letters}
    lost = [frame[:80] for frame in GARBAGE if frame.encode() not in raw]
    assert not lost, f"neither trade nor dead letter: {lost}"
    check_same_as_the_dump(data_dir, binance_trades)


def test_a_frame_beyond_all_bounds_does_not_end_the_feed(start, data_dir, exchange, binance_trades):
    """Sixteen megabytes: the connection may be given up, the program not, and what follows is taken."""
    running = feed(start, data_dir, exchange.url(), exchange.ca)
    exchange.wait_for_client()
    connections = len(exchange.paths)
    try:
        exchange.send(["x" * (16 << 20)])
    except Exception:  # the client closed while it was being sent
        pass
    exchange_lines = source_data.dump_lines()

    def taken():
        try:
            if exchange.clients:
                exchange.send(trade_frame(line) for line in exchange_lines)
        except Exception:
            return False
        return logged(data_dir) >= len(binance_trades)

    running.wait_until(taken, f"the trades after the monster frame (connections before: {connections})", every=1)
    assert running.stop() == 0


def test_a_split_of_one_trade_over_two_symbols_streams_keeps_both(start, data_dir, exchange):
    """The same trade id on two symbols is two trades."""
    running = feed(start, data_dir, exchange.url(), exchange.ca, symbols="BTCUSDT,ETHUSDT")
    exchange.wait_for_client()
    line = source_data.dump_lines()[0]
    exchange.send([trade_frame(line), trade_frame(line, symbol="ETHUSDT")])
    running.wait_until(lambda: logged(data_dir) >= 2, "both trades")
    assert running.stop() == 0
    rows = lake.query_rows(data_dir, "trades")
    assert {row.content.symbol for row in rows} == {"BTCUSDT", "ETHUSDT"} and len({row.content.message_id for row in rows}) == 2
    assert json.loads(rows[0].content.vendor_data)
