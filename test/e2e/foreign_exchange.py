"""A Binance-shaped market-data server on Python's `websockets`: a stranger to k2 and to its own simulator."""

import asyncio
import json
import pathlib
import ssl
import subprocess
import threading

from websockets.asyncio.server import serve

import source_data
from program import wait_until


def make_certificate(directory: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """A self-signed certificate for 127.0.0.1 by openssl: (certificate, key). The certificate is its own authority."""
    certificate, key = directory / "exchange-cert.pem", directory / "exchange-key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


class ForeignExchange:
    """Accepts any stream names, answers SUBSCRIBE, and sends the frames it is told to, to everybody connected."""

    def __init__(self, certificate: tuple[pathlib.Path, pathlib.Path] | None = None):
        self.paths: list[str] = []    # of all connections, in order
        self.requests: list[dict] = []
        self.clients: set = set()
        self.loop = asyncio.new_event_loop()
        self.tls = None
        if certificate:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*certificate)
        self.server = None
        self.port = 0
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def __enter__(self) -> "ForeignExchange":
        self.thread.start()
        self.open()
        return self

    def __exit__(self, *_):
        self.close()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()

    def open(self) -> None:
        """Listens, after a close() on the same port again."""
        async def listen():
            return await serve(self._serve_client, "127.0.0.1", self.port, ssl=self.tls, ping_interval=0.5, max_size=1 << 24)

        self.server = self._do(listen())
        self.port = self.server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Stops listening and ends all connections in order (close frame)."""
        async def stop():
            if self.server:
                self.server.close()
                await self.server.wait_closed()

        self._do(stop())
        self.server = None

    def cut(self) -> None:
        """Tears every connection: no close frame."""
        async def abort():
            for client in list(self.clients):
                client.transport.abort()

        self._do(abort())
        wait_until(lambda: not self.clients, "the server to see its cut connections")

    def send(self, frames) -> None:
        """Each frame, text or bytes, to everybody connected, in order."""
        async def send_all():
            for frame in frames:
                for client in list(self.clients):
                    await client.send(frame)

        self._do(send_all())

    def url(self) -> str:
        return f"{'wss' if self.tls else 'ws'}://127.0.0.1:{self.port}"

    def wait_for_client(self, connections: int = 1) -> None:
        """Until that many connections have been made and one is up; one that subscribes by message has done so."""
        def ready():
            return len(self.paths) >= connections and self.clients and ("streams=" in self.paths[-1] or self.paths[-1] != "/stream" or self.requests)

        wait_until(ready, f"connection {connections} to the foreign exchange")

    def _do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    async def _serve_client(self, client) -> None:
        self.paths.append(client.request.path)
        self.clients.add(client)
        try:
            async for text in client:
                request = json.loads(text)
                self.requests.append(request)
                await client.send(json.dumps({"result": None, "id": request["id"]}))
        finally:
            self.clients.discard(client)


def trade_frame(fields: list[str], symbol: str = "BTCUSDT", old: bool = False, microseconds: bool = False, combined: bool = True) -> str:
    """A dump's line as the stream would have sent it. `old`: from before 2024-06-18, with the order ids b and a."""
    trade_id, price, quantity, _, time, buyer_is_maker, best_match = fields
    time_sent = int(time) * 1000 if microseconds else int(time)
    data = {"e": "trade", "E": time_sent + 7, "s": symbol, "t": int(trade_id), "p": price, "q": quantity}
    if old:
        data |= {"b": int(trade_id) * 10, "a": int(trade_id) * 10 + 1}
    data |= {"T": time_sent, "m": buyer_is_maker == "True", "M": best_match == "True"}
    return json.dumps({"stream": f"{symbol.lower()}@trade", "data": data} if combined else data, separators=(",", ":"))


def recorded_frames() -> list[str]:
    """Real frames of other kinds: depth, klines, book tickers, aggregate trades."""
    path = source_data.DATA / "binance" / "binance_us_ws_frames_2021-10-12.txt"
    lines = path.read_text().splitlines()[1:]
    return [line.split(": ", 1)[1] for line in lines if ": " in line]
