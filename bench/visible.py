#!/usr/bin/env python3
"""How long after k2 received a trade does /v1/trades show it?

usage: bench/visible.py [--k2 build/release/k2] [--rate 20000] [--seconds 20]

Runs k2's own exchange at RATE trades a second over TLS and `k2 up` beside it on a new data directory, and asks /v1/trades for the newest
trade again and again. The age of the newest trade when the answer is here is an upper bound of the time from socket to visible: it has the query and
the wait for the next trade in it. Prints percentiles, the rate that was reached, and the CPU time of `k2 up` per trade."""

import argparse
import datetime
import http.client
import json
import pathlib
import re
import subprocess
import tempfile
import time


def parse(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def wait_for(path, pattern, process):
    for _ in range(200):
        found = re.search(pattern, path.read_text())
        if found:
            return found
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise SystemExit(f"visible: nothing like {pattern!r} in:\n{path.read_text()}")


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--k2", default="build/release/k2")
    arguments.add_argument("--rate", type=int, default=20_000)
    arguments.add_argument("--seconds", type=float, default=20)
    options = arguments.parse_args()

    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        sim_log, up_log = root / "sim.log", root / "up.log"
        processes = []
        try:
            ca = root / "ca.pem"
            sim = subprocess.Popen([options.k2, "sim", "--listen", "127.0.0.1:0", "--rate", str(options.rate), "--ca-file", ca],
                                   stdout=sim_log.open("w"), stderr=subprocess.STDOUT)
            processes.append(sim)
            port = wait_for(sim_log, r"127\.0\.0\.1:(\d+)", sim).group(1)
            up = subprocess.Popen([options.k2, "up", "--data-dir", root / "data", "--listen", "127.0.0.1:0", "--endpoint", f"wss://127.0.0.1:{port}",
                                   "--rest-endpoint", f"https://127.0.0.1:{port}", "--ca-file", ca], stdout=up_log.open("w"), stderr=subprocess.STDOUT)
            processes.append(up)
            http_port = int(wait_for(up_log, r"http://127\.0\.0\.1:(\d+)", up).group(1))
            measure(up, http_port, options.seconds)
        finally:
            for process in reversed(processes):
                process.terminate()
                process.wait(30)


def measure(up, port, seconds):
    connection = http.client.HTTPConnection("127.0.0.1", port)

    def get(path):
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())

    time.sleep(3)
    ages, queries = [], []
    first = get("/health")["ingest"]["appended"]
    cpu, started = cpu_seconds(up.pid), time.time()
    while time.time() < started + seconds:
        asked = time.time()
        newest = get("/v1/trades?symbol=BTCUSDT&limit=1")["data"][0]
        now = time.time()
        ages.append((now - parse(newest["ingestion_timestamp"])) * 1000)
        queries.append((now - asked) * 1000)
    elapsed = time.time() - started
    trades = get("/health")["ingest"]["appended"] - first
    cpu = cpu_seconds(up.pid) - cpu

    def percentiles(values):
        values.sort()
        return "  ".join(f"p{p:g} {values[min(len(values) - 1, int(len(values) * p / 100))]:.1f} ms" for p in (50, 99, 100))

    print(f"{trades / elapsed:,.0f} trades/s taken, {len(ages)} queries, {cpu / elapsed:.2f} cores used by k2 up (queries included), {cpu / max(trades, 1) * 1e6:.1f} us a trade")
    print(f"received to visible: {percentiles(ages)}")
    print(f"the query itself:    {percentiles(queries)}")


if __name__ == "__main__":
    main()
