#!/usr/bin/env python3
"""How many trade frames does one core take from a TLS socket into the durable log, and how soon is each durable?

usage: bench/feed.py [--k2 build/release/k2] [--rate 200000] [--frames 10000000] [--symbols 2]

Runs k2's own exchange at RATE trades a second over TLS (0: as fast as its slowest client reads) and `k2 up` beside it, whose archive and server are
idle as far as they can be (a commit an hour). Prints the rate reached, the CPU time of `k2 up` a frame, the share of batches that were durable within a bound
after their oldest frame was received (k2_ingest_durable_seconds), and the resident memory after each tenth of the frames."""

import argparse
import http.client
import json
import pathlib
import re
import subprocess
import tempfile
import time

from visible import cpu_seconds, wait_for


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--k2", default="build/release/k2")
    options.add_argument("--rate", type=int, default=200_000)
    options.add_argument("--frames", type=int, default=10_000_000)
    options.add_argument("--symbols", type=int, default=2)
    options = options.parse_args()
    symbols = ["BTCUSDT", "ETHUSDT"] + [f"X{n:03}USDT" for n in range(2, options.symbols)]
    with tempfile.TemporaryDirectory(prefix="k2-feed-") as root:
        root = pathlib.Path(root)
        sim_log, up_log, ca, config = root / "sim.log", root / "up.log", root / "ca.pem", root / "k2.toml"
        config.write_text("[instruments]\n" + "".join(f'{symbol} = "{symbol[:-4]}/USDT"\n' for symbol in symbols))
        processes = []
        try:
            speed = ["--rate", str(options.rate)] if options.rate else ["--speed", "0"]
            sim = subprocess.Popen([options.k2, "sim", "--listen", "127.0.0.1:0", *speed, "--symbols", ",".join(symbols), "--ca-file", ca],
                                   stdout=sim_log.open("w"), stderr=subprocess.STDOUT)
            processes.append(sim)
            port = wait_for(sim_log, r"127\.0\.0\.1:(\d+)", sim).group(1)
            up = subprocess.Popen([options.k2, "up", "--config", config, "--data-dir", root / "data", "--listen", "127.0.0.1:0", "--commit-interval", "1h",
                                   "--symbols", ",".join(symbols), "--endpoint", f"wss://127.0.0.1:{port}",
                                   "--rest-endpoint", f"https://127.0.0.1:{port}", "--ca-file", ca], stdout=up_log.open("w"), stderr=subprocess.STDOUT)
            processes.append(up)
            measure(up, int(wait_for(up_log, r"http://127\.0\.0\.1:(\d+)", up).group(1)), options.frames)
        finally:
            for process in reversed(processes):
                process.terminate()
                process.wait(120)


def resident_mb(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text()).group(1)) // 1024


def measure(up, port, frames):
    def get(path):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", path)
        return connection.getresponse().read().decode()

    def appended():
        return json.loads(get("/health"))["ingest"]["appended"]

    def buckets():
        found = re.findall(r'k2_ingest_durable_seconds_bucket\{le="([^"]+)"\} (\d+)', get("/metrics"))
        return [(float(bound), int(count)) for bound, count in found]

    time.sleep(3)
    first, cpu, started, before = appended(), cpu_seconds(up.pid), time.time(), dict(buckets())
    memory, mark, taken, seen = [], 1, 0, time.time()
    while taken < frames:
        time.sleep(0.5)
        now = appended() - first
        if now > taken:
            seen = time.time()
        elif time.time() > seen + 60:
            raise SystemExit(f"feed: no frame for a minute, after {taken:,}")
        taken = now
        while mark <= 10 and taken >= frames * mark // 10:
            memory.append(resident_mb(up.pid))
            mark += 1
    elapsed, cpu = time.time() - started, cpu_seconds(up.pid) - cpu
    print(f"{taken / elapsed:,.0f} frames/s into the log, {cpu / elapsed:.2f} cores used by k2 up, {cpu / taken * 1e6:.2f} us a frame")
    after = [(bound, count - before[bound]) for bound, count in buckets()]
    total = after[-1][1]
    print(f"received to durable, of {total:,} batches: " + "  ".join(f"{100 * count / total:.2f} % in {bound * 1000:g} ms" for bound, count in after if 0.001 <= bound <= 0.1))
    print("resident memory, MB: " + " ".join(map(str, memory)))
    counts = json.loads(get("/health"))["ingest"]
    print(f"left out: {counts['shed']}")


if __name__ == "__main__":
    main()
