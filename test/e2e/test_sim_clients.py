"""Clients that others wrote for Binance take k2 sim for Binance: python-binance and ccxt, over TLS, streams and REST.

Nothing of them is changed but the addresses and whom they trust. What they make of the simulator's answers is compared with its ledger.
"""

import asyncio
import decimal
import ssl

import aiohttp
import pytest

import exchanges

SECONDS = 20


@pytest.fixture
def market(start, tmp_path):
    return exchanges.start_sim(start, tmp_path, "--symbols", "BTCUSDT,ETHUSDT", "--rate", "200", "--seed", "11")


def run(test) -> None:
    asyncio.run(asyncio.wait_for(test, SECONDS))


def ledger_by_id(market, symbol: str) -> dict:
    return {trade["id"]: trade for trade in exchanges.ledger(market, symbol)}


def check_same(trade, price, quantity, time_ms, buyer_is_maker) -> None:
    want = decimal.Decimal(trade["price"]), decimal.Decimal(trade["quantity"]), trade["time_us"] // 1000, trade["buyer_is_maker"]
    assert (decimal.Decimal(str(price)), decimal.Decimal(str(quantity)), int(time_ms), buyer_is_maker) == want


# --- python-binance -----------------------------------------------------------------------------------------------------


async def python_binance(market):
    """Its client and its socket manager."""
    from binance import AsyncClient, BinanceSocketManager
    context = ssl.create_default_context(cafile=market.ca)

    class Client(AsyncClient):
        API_URL = market.rest + "/api"

    client = await Client.create(session_params={"connector": aiohttp.TCPConnector(ssl=context)})
    sockets = BinanceSocketManager(client)
    sockets.STREAM_URL = market.url + "/"
    sockets.ws_kwargs = {"ssl": context}
    return client, sockets


def test_python_binance_reads_the_streams(market):
    async def test():
        client, sockets = await python_binance(market)
        async with sockets.trade_socket("BTCUSDT") as stream:
            trades = [await stream.recv() for _ in range(50)]
        async with sockets.symbol_book_ticker_socket("ETHUSDT") as stream:
            quotes = [await stream.recv() for _ in range(5)]
        async with sockets.multiplex_socket(["btcusdt@trade", "ethusdt@aggTrade"]) as stream:
            both = [await stream.recv() for _ in range(20)]
        await client.close_connection()
        known = ledger_by_id(market, "BTCUSDT")
        assert [trade["t"] for trade in trades] == list(range(trades[0]["t"], trades[0]["t"] + 50))
        for trade in trades:
            check_same(known[trade["t"]], trade["p"], trade["q"], trade["T"], trade["m"])
        assert all(quote["s"] == "ETHUSDT" and decimal.Decimal(quote["b"]) < decimal.Decimal(quote["a"]) for quote in quotes)
        assert {message["stream"] for message in both} == {"btcusdt@trade", "ethusdt@aggTrade"}

    run(test())


def test_python_binance_reads_rest(market):
    async def test():
        client, sockets = await python_binance(market)
        async with sockets.trade_socket("BTCUSDT") as stream:  # the market begins with its first subscriber
            last = [await stream.recv() for _ in range(30)][-1]["t"]
        assert (await client.get_server_time())["serverTime"] > 1_600_000_000_000
        assert (await client.get_symbol_info("ETHUSDT"))["quoteAsset"] == "USDT"
        historical = await client.get_historical_trades(symbol="BTCUSDT", fromId=3, limit=20)
        recent = await client.get_recent_trades(symbol="BTCUSDT", limit=10)
        aggregate = await client.get_aggregate_trades(symbol="BTCUSDT", fromId=5, limit=2)
        ticker = await client.get_orderbook_ticker(symbol="BTCUSDT")
        book = await client.get_order_book(symbol="BTCUSDT", limit=5)
        await client.close_connection()
        known = ledger_by_id(market, "BTCUSDT")
        assert [trade["id"] for trade in historical] == list(range(3, 23)) and recent[-1]["id"] >= last
        for trade in historical + recent:
            check_same(known[trade["id"]], trade["price"], trade["qty"], trade["time"], trade["isBuyerMaker"])
        assert [(row["a"], row["f"], row["l"]) for row in aggregate] == [(5, 5, 5), (6, 6, 6)]
        assert decimal.Decimal(ticker["bidPrice"]) < decimal.Decimal(ticker["askPrice"])
        assert len(book["bids"]) == len(book["asks"]) == 5 and book["lastUpdateId"] >= last

    run(test())


def test_python_binance_sees_the_venue_s_refusals(market):
    async def test():
        from binance.exceptions import BinanceAPIException
        client, _ = await python_binance(market)
        with pytest.raises(BinanceAPIException) as unknown:
            await client.get_recent_trades(symbol="NOPE")
        assert unknown.value.code == -1121
        exchanges.add_faults(market, {"kind": "rest_429", "path": "/trades"})
        with pytest.raises(BinanceAPIException) as limited:
            await client.get_recent_trades(symbol="BTCUSDT")
        assert limited.value.status_code == 429 and limited.value.response.headers["Retry-After"] == "1"
        await client.close_connection()

    run(test())


# --- ccxt ---------------------------------------------------------------------------------------------------------------


def ccxt_binance(market):
    import ccxt.pro
    exchange = ccxt.pro.binance({"cafile": str(market.ca), "options": {"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False}})
    exchange.urls["api"]["public"] = market.rest + "/api/v3"
    exchange.urls["api"]["ws"]["spot"] = market.url + "/ws"
    return exchange


def test_ccxt_reads_rest(market):
    async def test():
        exchange = ccxt_binance(market)
        try:
            markets = await exchange.load_markets()
            assert set(markets) == {"BTC/USDT", "ETH/USDT"} and markets["BTC/USDT"]["quote"] == "USDT" and markets["BTC/USDT"]["active"]
            assert await exchange.fetch_time() > 1_600_000_000_000
            await exchange.watch_trades("BTC/USDT")  # the market begins
            await asyncio.sleep(0.5)
            aggregate = await exchange.fetch_trades("BTC/USDT", limit=10)
            single = await exchange.fetch_trades("BTC/USDT", limit=10, params={"fetchTradesMethod": "publicGetTrades"})
            book = await exchange.fetch_order_book("BTC/USDT", limit=10)
            best = await exchange.fetch_bids_asks(["BTC/USDT", "ETH/USDT"])
        finally:
            await exchange.close()
        known = ledger_by_id(market, "BTCUSDT")
        for trade in aggregate + single:
            check_same(known[int(trade["id"])], trade["info"].get("p") or trade["info"]["price"],
                       trade["info"].get("q") or trade["info"]["qty"], trade["timestamp"], trade["side"] == "sell")
        assert book["bids"][0][0] < book["asks"][0][0] and len(book["bids"]) == 10
        assert best["BTC/USDT"]["bid"] < best["BTC/USDT"]["ask"]

    run(test())


def test_ccxt_pro_watches_trades_and_quotes(market):
    async def test():
        exchange = ccxt_binance(market)
        seen = {}
        try:
            while len(seen) < 60:
                for trade in await exchange.watch_trades_for_symbols(["BTC/USDT", "ETH/USDT"]):
                    seen[trade["symbol"], int(trade["id"])] = trade
            quotes = await exchange.watch_bids_asks(["BTC/USDT"])
        finally:
            await exchange.close()
        known = {"BTC/USDT": ledger_by_id(market, "BTCUSDT"), "ETH/USDT": ledger_by_id(market, "ETHUSDT")}
        assert {symbol for symbol, _ in seen} == set(known)
        for (symbol, number), trade in seen.items():
            check_same(known[symbol][number], trade["info"]["p"], trade["info"]["q"], trade["timestamp"], trade["side"] == "sell")
        assert quotes["BTC/USDT"]["bid"] < quotes["BTC/USDT"]["ask"]

    run(test())
