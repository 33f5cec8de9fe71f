"""The alert rules: promtool's own tests of them; and a real Prometheus that scrapes a running k2, loads them, and raises the alarm when the exchange goes."""

import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

import exchanges
import metric_docs
import program
import web
from source_data import REPOSITORY

DEPLOY = REPOSITORY / "deploy" / "prometheus"
UNPACKED = REPOSITORY / "build" / "prometheus" / "usr" / "bin"
DOCUMENT = REPOSITORY / "docs" / "metrics.md"
RUNBOOK = REPOSITORY / "docs" / "streaming-architecture.md"


def tool(name: str) -> str:
    """Where tools/deps unpacked it, or where the machine has it."""
    found = shutil.which(name, path=f"{UNPACKED}:{os.environ['PATH']}")
    if not found:
        pytest.skip(f"no {name}: tools/deps --test gets it")
    return found


def promtool(*arguments) -> str:
    done = subprocess.run([tool("promtool"), *map(str, arguments)], cwd=DEPLOY, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.no_binary
def test_promtool_accepts_configuration_and_rules():
    promtool("check", "config", "prometheus.yml")
    promtool("check", "rules", "alerts.yml")


@pytest.mark.no_binary
def test_each_alert_speaks_when_it_must_and_is_quiet_when_not():
    promtool("test", "rules", "alerts_test.yml")


@pytest.mark.no_binary
def test_each_alert_is_tested_and_has_its_page():
    rules, tests, pages = ((DEPLOY / "alerts.yml").read_text(), (DEPLOY / "alerts_test.yml").read_text(), RUNBOOK.read_text())
    alerts = re.findall(r"- alert: (\w+)", rules)
    assert alerts
    assert [alert for alert in alerts if f"alertname: {alert}" not in tests] == []
    assert [alert for alert in alerts if f"runbook: docs/streaming-architecture.md#{alert.lower()}\n" not in rules] == []
    assert [alert for alert in alerts if not re.search(rf"^#+ {alert}$", pages, re.M)] == []


@pytest.mark.no_binary
def test_each_metric_of_the_alerts_is_documented():
    documented = metric_docs.documented(DOCUMENT)
    assert [name for name in metric_docs.names_in(DEPLOY / "alerts.yml") if name not in documented] == []


@pytest.fixture
def streaming(start, data_dir, tmp_path):
    """A simulated exchange and k2 up on it: (the exchange, k2 with its address)."""
    market, up = exchanges.start_streaming(start, data_dir, tmp_path)
    up.wait_until(lambda: samples(up.address).get("k2_ingest_events_total", 0) > 50, "trades to flow", seconds=60)
    return market, up


def samples(address: str) -> dict[str, float]:
    """Name -> sum over its labels."""
    try:
        text = web.get(f"http://{address}/metrics").body.decode()
    except OSError:
        return {}
    found: dict[str, float] = {}
    for name, value in re.findall(r"^(\w+)(?:\{.*\})? (\S+)$", text, re.M):
        found[name] = found.get(name, 0) + float(value)
    return found


def test_the_document_and_the_program_name_the_same_metrics(streaming):
    """What is exposed is documented; what is documented is exposed, from the start or, where the document says so, once it has happened."""
    _, up = streaming
    web.get(f"http://{up.address}/v1/trades?symbol=BTCUSDT&limit=1")
    exposed = metric_docs.families(web.get(f"http://{up.address}/metrics").body.decode())
    documented = metric_docs.documented(DOCUMENT)
    assert sorted(set(exposed) - set(documented)) == [], "exposed, but not in docs/metrics.md"
    assert sorted(name for name, metric in documented.items() if metric.from_start and name not in exposed) == [], "in docs/metrics.md, but not exposed"
    assert {name: metric.type for name, metric in documented.items() if name in exposed} == \
           {name: kind for name, kind in exposed.items() if name in documented}


class Prometheus:
    """A server on 127.0.0.1, with its data in a directory of the test."""

    def __init__(self, directory: pathlib.Path, target: str):
        self.directory, self.address = directory, f"127.0.0.1:{program.free_port()}"
        rules = re.sub(r"\bfor: \S+", "for: 2s", (DEPLOY / "alerts.yml").read_text())
        (directory / "alerts.yml").write_text(rules)
        config = (DEPLOY / "prometheus.yml").read_text().replace("127.0.0.1:8080", target)
        (directory / "prometheus.yml").write_text(re.sub(r"(scrape|evaluation)_interval: \S+", r"\1_interval: 1s", config))
        self.talk = directory / "prometheus.talk"
        with open(self.talk, "wb") as talk:
            self.process = subprocess.Popen(
                [tool("prometheus"), f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/tsdb",
                 f"--web.listen-address={self.address}", "--storage.tsdb.retention.time=1h"], stdout=talk, stderr=talk)

    def api(self, path: str):
        return json.loads(web.get(f"http://{self.address}/api/v1/{path}").body)["data"]

    def wait_until(self, condition, what: str, seconds: float = 40):
        try:
            return program.wait_until(lambda: self.process.poll() is None and web.is_up(f"http://{self.address}/-/ready") and condition(), what, seconds,
                                      every=0.2)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.talk.read_text()[-3000:]}") from None

    def alert_state(self, name: str) -> str:
        return max((alert["state"] for alert in self.api("alerts")["alerts"] if alert["labels"]["alertname"] == name), default="inactive",
                   key=["inactive", "pending", "firing"].index)

    def end(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def prometheus(streaming, tmp_path):
    directory = tmp_path / "prometheus"
    directory.mkdir()
    server = Prometheus(directory, streaming[1].address)
    yield server
    server.end()


def test_a_real_prometheus_scrapes_k2_and_raises_the_alarm_when_the_exchange_goes(streaming, prometheus):
    market, _ = streaming
    prometheus.wait_until(lambda: [target["health"] for target in prometheus.api("targets")["activeTargets"]] == ["up"], "the target to be up")

    def evaluated():
        rules = [rule for group in prometheus.api("rules")["groups"] for rule in group["rules"]]
        return rules if rules and all(rule["health"] == "ok" for rule in rules) else None

    rules = prometheus.wait_until(evaluated, "every rule to be evaluated without an error")
    assert {rule["name"] for rule in rules} == set(re.findall(r"- alert: (\w+)", (DEPLOY / "alerts.yml").read_text()))

    documented = metric_docs.documented(DOCUMENT)
    scraped = set(prometheus.api("label/__name__/values"))
    wanted = {name for name in metric_docs.names_in(DEPLOY / "alerts.yml") if documented[name].from_start}
    assert wanted - scraped == set(), "an alert asks for what k2 does not say"
    assert prometheus.alert_state("K2FeedDisconnected") == "inactive"

    market.running.crash()
    prometheus.wait_until(lambda: prometheus.alert_state("K2FeedDisconnected") == "firing", "the alarm", seconds=60)
    assert prometheus.alert_state("K2Down") == "inactive", "k2 itself answers"
