"""Starting k2's own exchange and feeds for tests: the one place that knows their flags."""

import dataclasses
import json
import pathlib
import ssl
import urllib.request

import program
import source_data

NO_REST = "https://127.0.0.1:1"  # nothing listens there: instruments come from the built-in table


@dataclasses.dataclass
class Market:
    """A running k2 sim."""

    running: program.Program
    port: int
    ca: pathlib.Path

    @property
    def url(self) -> str:
        return f"wss://127.0.0.1:{self.port}"

    @property
    def rest(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def request(self, path: str, body: bytes | None = None) -> bytes:
        context = ssl.create_default_context(cafile=self.ca)
        with urllib.request.urlopen(self.rest + path, data=body, context=context, timeout=10) as answer:
            return answer.read()

    def get(self, path: str):
        return json.loads(self.request(path))


def start_sim(start, directory, *arguments) -> Market:
    port, ca = program.free_port(), pathlib.Path(directory) / "sim-ca.pem"
    running = start("sim", "--listen", f"127.0.0.1:{port}", "--ca-file", ca, *arguments, name="sim")
    market = Market(running, port, ca)
    running.wait_until(lambda: ca.exists() and answers(market), "the simulated exchange")
    return market


def start_streaming(start, data_dir, directory) -> tuple[Market, program.Program]:
    """A simulated market and k2 up on it, which has `address` and `url`; whoever calls waits for what it needs."""
    market = start_sim(start, directory, "--rate", "200")
    address = f"127.0.0.1:{program.free_port()}"
    up = start("up", "--data-dir", data_dir, "--endpoint", market.url, "--ca-file", market.ca, "--listen", address,
               env={"K2_BINANCE_REST_ENDPOINTS": market.rest, "K2_LAKE_COMMIT_INTERVAL": "500ms"}, name="up")
    up.address, up.url = address, f"http://{address}"
    return market, up


def answers(market: Market) -> bool:
    try:
        return bool(market.get("/api/v3/time"))
    except OSError:
        return False


def add_faults(market: Market, *rules: dict) -> None:
    """What is to go wrong from now on; src/exchange/admin.h says how a rule looks."""
    market.request("/sim/faults", json.dumps(rules).encode())


def ledger(market: Market, symbol: str) -> list[dict]:
    """All trades that ever happened there, in order."""
    trades = []
    while True:
        page = market.request(f"/sim/ledger?symbol={symbol}&from={len(trades) + 1}").splitlines()
        trades += map(json.loads, page)
        if not page:
            return trades


def sim_playing_file(start, directory) -> Market:
    return start_sim(start, directory, "--file", source_data.BINANCE_DUMP, "--symbol", "BTCUSDT", "--speed", "0")


def feed(start, data_dir, url: str, ca=None, symbols: str = "BTCUSDT") -> program.Program:
    trust = ["--ca-file", ca] if ca else []
    return start("feed", "binance", "--data-dir", data_dir, "--symbols", symbols, "--endpoint", url, *trust,
                 env={"K2_BINANCE_REST_ENDPOINTS": NO_REST}, name="feed")
