"""Everything that the simulated exchange can do wrong, scripted, against a running k2 up.

However it went, each trade of the exchange's ledger is in the table exactly once with its values, or coverage says why not, and k2's metrics
agree with the exchange's own counts. The verifier and the ledger share no code with k2's feed.
"""

import collections
import dataclasses
import re
import time

import pytest

import exchanges
import log_reader
import program
import source_data
import tables
import verifier
import web

SYMBOLS = ("BTCUSDT", "ETHUSDT")
TRADES = 400  # of each symbol; then the market is quiet
RATE = 500  # a second, both together
AT = 120  # the trade of a symbol at which things go wrong

# Seconds become fractions of one, so that a case ends in seconds.
FAST = {"K2_BINANCE_HEARTBEAT": "400ms", "K2_BINANCE_BACKOFF_FIRST": "100ms", "K2_BINANCE_BACKOFF_MAX": "400ms",
        "K2_BINANCE_BACKFILL_CONFIRM_AFTER": "500ms", "K2_LAKE_COMMIT_INTERVAL": "200ms"}


@dataclasses.dataclass
class Case:
    name: str
    rules: list[dict]
    env: dict = dataclasses.field(default_factory=dict)
    flags: tuple = ()            # of k2 sim
    reconnects: bool = False     # some connection is lost
    status: str = "backfilled"   # what coverage says in the end of what did not come by itself
    reason: str = ""             # of a gap that stays
    letters: int = 0             # dead letters

    def kinds(self) -> set[str]:
        return {rule["kind"] for rule in self.rules}


def fault(kind: str, **settings) -> dict:
    return {"kind": kind, **settings}


CUT = fault("cut", at_trade=AT)
HOLE = fault("hole", symbol="BTCUSDT", at_trade=AT, count=20)
HISTORY = {"path": "historicalTrades"}

CASES = [
    Case("cut", [CUT], reconnects=True),
    Case("cut again and again", [fault("cut", at_trade=AT, probability=0.02, count=4)], reconnects=True),
    Case("half open", [fault("half_open", at_trade=AT)], reconnects=True),
    Case("no ping", [fault("no_ping", count=0)], flags=("--ping-interval", "100ms")),
    Case("garbage", [fault("garbage", at_trade=AT, count=5)], letters=5),
    Case("wrong UTF-8", [fault("wrong_utf8", at_trade=AT)], reconnects=True),
    Case("huge frame", [fault("huge_frame", at_trade=AT)], reconnects=True),
    Case("masked frame", [fault("masked_frame", at_trade=AT)], reconnects=True),
    Case("duplicate", [fault("duplicate", at_trade=AT, count=50)]),
    Case("reorder", [fault("reorder", at_trade=AT, probability=0.3, count=30)]),
    Case("hole", [HOLE]),
    Case("hole in both symbols, often", [fault("hole", at_trade=AT, probability=0.1, count=40)]),
    Case("hole on one of two lines", [{**HOLE, "clients": 1}], env={"K2_BINANCE_LINES": "2"}),
    Case("ids not issued", [fault("not_issued", symbol="BTCUSDT", at_trade=AT, value=10)], status="not_issued"),
    Case("day cut", [fault("day_cut", delay="1s", count=2)], reconnects=True),
    Case("server shutdown", [fault("server_shutdown", at_trade=AT, delay="1s")], reconnects=True),
    Case("REST 429", [HOLE, fault("rest_429", **HISTORY, count=2, delay="1s")]),
    Case("REST 418", [HOLE, fault("rest_418", **HISTORY, delay="2s")]),
    Case("REST 451", [HOLE, fault("rest_451", **HISTORY, count=0)], status="open", reason="451"),
    Case("REST down", [HOLE, fault("rest_down", **HISTORY, count=2)]),
    Case("REST breaks off", [HOLE, fault("rest_cut", **HISTORY, count=2)]),
    Case("REST lags", [HOLE, fault("rest_lag", **HISTORY, at_trade=AT, value=100_000, duration="4s")]),
    Case("slow TLS", [CUT, fault("slow_tls", at_trade=AT, delay="700ms", duration="500ms")], reconnects=True),
    Case("connections refused", [CUT, fault("refuse_connect", at_trade=AT, duration="1s")], reconnects=True),
    Case("a certificate for another host", [CUT, fault("wrong_host", at_trade=AT, duration="1s")], reconnects=True),
    Case("a certificate of a stranger", [CUT, fault("wrong_authority", at_trade=AT, duration="1s")], reconnects=True),
]


# --- what a run is ------------------------------------------------------------------------------------------------------


def start_up(start, data_dir, endpoints, ca, symbols=SYMBOLS, **env) -> tuple[program.Program, str]:
    """k2 up and its URL; endpoints: (WebSocket, REST) of each."""
    listen = f"127.0.0.1:{program.free_port()}"
    urls = [part for url, _ in endpoints for part in ("--endpoint", url)]
    running = start("up", "--data-dir", data_dir, "--symbols", ",".join(symbols), *urls, "--ca-file", ca, "--listen", listen,
                    env={"K2_BINANCE_REST_ENDPOINTS": ",".join(rest for _, rest in endpoints), **FAST, **env}, name="up")
    return running, f"http://{listen}"


def metrics(url: str) -> dict[str, float]:
    """Sums over all labels, by name."""
    sums = collections.Counter()
    for line in web.get(url + "/metrics").body.decode().splitlines():
        if found := re.fullmatch(r"([a-z0-9_]+)(?:\{.*\})? (\S+)", line):
            sums[found[1]] += float(found[2])
    return sums


def statements(data_dir) -> list:
    """Coverage, from the log's file."""
    with log_reader.LogFile(data_dir) as log:
        return [record for topic, partition in log.end_offsets() if ".coverage." in topic for record in log.records(topic, partition)]


def said(data_dir, status: str) -> dict[str, set[int]]:
    """The ids that coverage in the end gives that status, by symbol."""
    return {symbol: {number for number, now in ids.items() if now == status}
            for (_, symbol, channel), ids in verifier.present_coverage(statements(data_dir)).items() if channel == "trades"}


def taken(data_dir) -> dict[str, set[int]]:
    ids = {symbol: set() for symbol in SYMBOLS}
    for record in log_reader.records(data_dir, source_data.BINANCE_TOPIC):
        ids[record.content.symbol].add(record.content.source_sequence)
    return ids


def as_in_table(symbol: str, trade: dict) -> tuple:
    """What the ledger says, in the table's words."""
    return (symbol, trade["id"], source_data.units(trade["price"]), source_data.units(trade["quantity"]), trade["time_us"],
            "SELL" if trade["buyer_is_maker"] else "BUY")


def stored_rows(data_dir) -> list[tuple]:
    return [(row.content.symbol, int(row.content.trade_id), row.content.price, row.content.quantity, row.content.timestamp_us, row.content.side)
            for row in tables.by_pyiceberg(data_dir, "trades_v2")]


def check_lake(data_dir) -> None:
    verifier.assert_clean(verifier.check_lake(data_dir), verifier.check_accounted(tables.by_pyiceberg(data_dir, "trades_v2"), statements(data_dir)))
    program.run("lake", "check", "--data-dir", data_dir)


def counts_or_none(market) -> dict:
    """The exchange's counts; zeros while it lets nobody in."""
    try:
        return market.get("/sim/counts")
    except OSError:
        return collections.Counter()


def wait_for_the_market(market, up) -> dict[str, list[dict]]:
    up.wait_until(lambda: counts_or_none(market)["trades"] == TRADES * len(SYMBOLS), "the market's end", seconds=30, every=0.2)
    return {symbol: exchanges.ledger(market, symbol) for symbol in SYMBOLS}


# --- every fault --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_trade_is_there_once_or_coverage_says_why_not(start, data_dir, tmp_path, case):
    market = exchanges.start_sim(start, tmp_path, "--symbols", ",".join(SYMBOLS), "--rate", str(RATE), "--max-trades", str(TRADES), *case.flags)
    exchanges.add_faults(market, *case.rules)
    up, url = start_up(start, data_dir, [(market.url, market.rest)], market.ca, **case.env)
    ledger = wait_for_the_market(market, up)
    issued = {symbol: {trade["id"] for trade in trades} for symbol, trades in ledger.items()}

    def settled() -> bool:
        missing = {symbol: issued[symbol] - ids for symbol, ids in taken(data_dir).items()}
        if case.status == "open":
            return any(missing.values()) and missing == {**missing, **said(data_dir, "open")}
        return not any(missing.values()) and (case.status != "not_issued" or any(said(data_dir, "not_issued").values()))

    up.wait_until(settled, "all trades, or word about them", seconds=40, every=0.3)
    open_gaps = 1 if case.status == "open" else 0
    up.wait_until(lambda: metrics(url)["k2_gaps_open"] == open_gaps, f"{open_gaps} open gaps", seconds=10, every=0.3)
    counts, seen = market.get("/sim/counts"), metrics(url)
    assert up.stop() == 0, up.talk()
    check_lake(data_dir)
    check_rows(data_dir, case, ledger)
    check_counts(case, counts, seen)


def check_rows(data_dir, case: Case, ledger) -> None:
    missing = said(data_dir, "open")
    expected = [as_in_table(symbol, trade) for symbol in SYMBOLS for trade in ledger[symbol] if trade["id"] not in missing.get(symbol, ())]
    verifier.assert_clean(verifier.check_same("the ledger in the table", expected, stored_rows(data_dir)))
    absent = said(data_dir, case.status)
    if case.status == "not_issued":
        assert absent["BTCUSDT"] == set(range(AT, AT + 10)) and not absent.get("ETHUSDT"), absent
    if case.status == "open":
        assert absent["BTCUSDT"] == set(range(AT, AT + 20)) and not absent.get("ETHUSDT"), absent
        assert any(case.reason in (row.content.reason or "") for row in statements(data_dir) if row.content.status == "open")
    else:
        assert not any(missing.values()), missing
    assert not any(said(data_dir, "lost").values())


def check_counts(case: Case, counts: dict, seen: dict) -> None:
    """k2's metrics against the exchange's own counts."""
    assert all(counts["faults"][kind] > 0 for kind in case.kinds()), counts["faults"]
    lines = int(case.env.get("K2_BINANCE_LINES", 1))
    assert seen["k2_binance_reconnects_total"] == counts["connections"] - lines, counts
    assert (counts["connections"] > lines) == case.reconnects, counts
    messages = seen["k2_binance_messages_received_total"]
    assert messages <= counts["messages"] if case.reconnects else messages == counts["messages"], (messages, counts)
    assert seen["k2_dead_letters_total"] == case.letters
    if "duplicate" in case.kinds():
        assert seen["k2_duplicates_dropped_total"] >= counts["faults"]["duplicate"]
    if not case.reconnects and lines == 1 and case.status == "backfilled":
        assert seen["k2_backfilled_trades_total"] == counts["faults"]["hole"], "each hole filled by REST"


# --- two endpoints ------------------------------------------------------------------------------------------------------


def test_it_moves_to_the_next_endpoint_and_back(start, data_dir, tmp_path, binance_trades):
    """Both play the same recorded trades from their beginning; the first tears everything and lets nobody in for a while."""
    markets = []
    for name in ("first", "second"):
        directory = tmp_path / name
        directory.mkdir()
        markets.append(exchanges.start_sim(start, directory, "--file", source_data.BINANCE_DUMP, "--play-rate", "500"))
    first, second = markets
    authorities = tmp_path / "both.pem"
    authorities.write_bytes(first.ca.read_bytes() + second.ca.read_bytes())
    up, url = start_up(start, data_dir, [(first.url, first.rest), (second.url, second.rest)], authorities, symbols=("BTCUSDT",),
                       K2_BINANCE_ATTEMPTS_MAX="2", K2_BINANCE_FAILBACK_AFTER="2s")
    up.wait_until(lambda: log_reader.count(data_dir, source_data.BINANCE_TOPIC) > 300, "trades of the first")
    exchanges.add_faults(first, fault("cut"), fault("refuse_connect", duration="5s"))
    up.wait_until(lambda: log_reader.count(data_dir, source_data.BINANCE_TOPIC) == len(binance_trades), "all trades, by the second", seconds=30)
    assert second.get("/sim/counts")["connections"] == 1
    assert metrics(url)["k2_feed_failovers_total"] >= 1
    up.wait_until(lambda: counts_or_none(first)["connections"] == 2, "the way back", seconds=30, every=0.3)
    up.wait_until(lambda: metrics(url)["k2_binance_connection_status"] == 1, "the first's line")
    assert up.stop() == 0
    check_lake(data_dir)
    rows = [row.content for row in tables.by_pyiceberg(data_dir, "trades_v2")]
    strip = [row._replace(vendor_data=None) for row in rows]  # some came by REST and say so
    verifier.assert_clean(verifier.check_same("the dump", [row._replace(vendor_data=None) for row in binance_trades], strip))


@pytest.mark.parametrize("kind", ["wrong_host", "wrong_authority"])
def test_a_wrong_certificate_is_refused_for_good(start, data_dir, tmp_path, kind):
    """The only fault that nothing heals: not one trade, no connection, red, and the log says why."""
    market = exchanges.start_sim(start, tmp_path, "--rate", str(RATE))
    exchanges.add_faults(market, fault(kind, count=0))
    up, url = start_up(start, data_dir, [(market.url, market.rest)], market.ca, K2_BINANCE_ATTEMPTS_MAX="2")
    up.wait_until(lambda: web.is_up(url + "/livez") and web.get(url + "/readyz").status == 503, "red", seconds=20)
    assert metrics(url)["k2_binance_errors_total"] >= 2
    assert b"certificate" in up.talk_file.read_bytes().lower()
    assert up.stop() == 0
    assert log_reader.count(data_dir, source_data.BINANCE_TOPIC) == 0


# --- what cannot be told from a repetition by its id alone ------------------------------------------------------------------


def test_ids_that_begin_again_are_not_lost_in_silence(start, data_dir, tmp_path):
    """A trade whose id was taken, with other values, is no duplicate: it is kept among the dead letters, and counted."""
    market = exchanges.start_sim(start, tmp_path, "--symbols", ",".join(SYMBOLS), "--rate", str(RATE), "--max-trades", str(TRADES),
                                 "--fault", f"id_reset:symbol=BTCUSDT,at_trade={AT}")
    up, url = start_up(start, data_dir, [(market.url, market.rest)], market.ca)
    ledger = wait_for_the_market(market, up)
    time.sleep(1)
    seen = metrics(url)
    assert up.stop() == 0, up.talk()
    stored = set(stored_rows(data_dir))
    kept = b"\n".join(letter["raw"] for letter in log_reader.dead_letters(data_dir))
    silent = [trade for symbol in SYMBOLS for trade in ledger[symbol] if as_in_table(symbol, trade) not in stored
              and f'"t":{trade["id"]},"p":"{trade["price"]}","q":"{trade["quantity"]}"'.encode() not in kept]
    assert not silent, f"{len(silent)} trades are neither in the table nor among the dead letters, first {silent[:3]}; {seen['k2_duplicates_dropped_total']}"
