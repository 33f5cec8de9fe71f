"""Fixtures of the end-to-end tests: the binary, a data directory, programs that are ended whatever happens."""

import pytest

import program
import source_data


def pytest_collection_modifyitems(items):
    """Without a binary nothing can be shown: say so once per test instead of failing in odd ways."""
    if not program.BINARY.exists():
        missing = pytest.mark.skip(reason=f"no k2 at {program.BINARY}: ./dev build, or set K2_BIN")
        for item in items:
            if "no_binary" not in item.keywords:
                item.add_marker(missing)


def pytest_configure(config):
    config.addinivalue_line("markers", "no_binary: needs no k2 program")
    config.addinivalue_line("markers", "slow: takes more than ten seconds")


@pytest.fixture(scope="session")
def sample_data():
    """Skips where the sample data is absent; it is not part of the repository."""
    if not source_data.DATA.is_dir():
        pytest.skip(f"no sample data at {source_data.DATA}: set K2_TEST_DATA")
    return source_data.DATA


@pytest.fixture(scope="session")
def asx_trades(sample_data):
    return source_data.asx_trades()


@pytest.fixture(scope="session")
def asx_quotes(sample_data):
    return source_data.asx_quotes()


@pytest.fixture(scope="session")
def binance_trades(sample_data):
    return source_data.binance_trades()


@pytest.fixture
def data_dir(tmp_path):
    return tmp_path / "k2-data"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call" and report.failed:
        for running in getattr(item, "k2_programs", [])[-4:]:
            report.sections.append((f"talk of {running.name}", running.talk()))
    return report


@pytest.fixture
def start(request, tmp_path):
    """start(*arguments, name=..., env=...) runs a k2 that is ended with the test."""
    programs = request.node.k2_programs = []

    def start_program(*arguments, name: str | None = None, env: dict | None = None) -> program.Program:
        started = program.Program(*arguments, env=env, directory=tmp_path, name=name or f"{arguments[0]}-{len(programs)}")
        programs.append(started)
        return started.start()

    yield start_program
    for running in programs:
        running.end()


def pytest_terminal_summary(terminalreporter):
    """What the long tests did, in numbers: kills, crash points fired, cuts."""
    figures = [(report.nodeid.split("::")[-1], name, value) for report in terminalreporter.getreports("passed") if report.when == "call"
               for name, value in report.user_properties]
    if figures:
        terminalreporter.section("figures")
    for test, name, value in figures:
        terminalreporter.write_line(f"{test}: {name}: {value}")
