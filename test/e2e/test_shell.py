"""Completion scripts in the shells they are for, and the manual page among the programs that read manual pages."""

import os
import pty
import re
import select
import shutil
import subprocess
import time

import pytest

import program

COMPLETE = r'''
source "$1"
shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_k2
printf '%s\n' "${COMPREPLY[@]}"
'''


def need(name: str) -> str:
    found = shutil.which(name)
    if not found:
        pytest.skip(f"no {name}: tools/deps --test installs it")
    return found


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """script("bash") is the file with what k2 completion printed."""
    directory = tmp_path_factory.mktemp("completion")

    def write(shell: str):
        path = directory / f"k2.{shell}"
        if not path.exists():
            path.write_bytes(program.run("completion", shell).stdout)
        return path

    return write


@pytest.fixture
def shop(tmp_path):
    """A directory with things to name."""
    (tmp_path / "first trades.csv").touch()
    (tmp_path / "second.csv").touch()
    (tmp_path / "warehouse").mkdir()
    return tmp_path


@pytest.fixture
def bash(script, shop):
    """bash("query", "tr") is what bash would offer for `k2 query tr`; arguments are words as bash breaks them."""
    def offers(*words: str) -> set[str]:
        done = subprocess.run([need("bash"), "--norc", "-u", "-c", COMPLETE, "bash", script("bash"), "k2", *words], cwd=shop, capture_output=True, text=True)
        assert done.returncode == 0 and not done.stderr, done.stderr
        return set(done.stdout.split("\n")) - {""}

    return offers


def commands_of(text: str) -> set[str]:
    """The subcommands that a help lists."""
    return set(re.findall(r"^  ([a-z][a-z-]*) ", text.split("Subcommands:")[1], re.M))


def test_bash_offers_every_command_that_the_help_lists(bash):
    assert bash("") == commands_of(program.run("--help").stdout.decode())
    assert bash("query", "") == commands_of(program.run("query", "--help").stdout.decode())
    assert bash("query", "dead") == {"dead-letters"}
    assert bash("nosuch", "") == bash(""), "a word that is no command changes nothing"


def test_bash_offers_every_flag_that_the_help_lists(bash):
    said = program.run("query", "trades", "--help").stdout.decode()
    assert bash("query", "trades", "-") == set(re.findall(r"(?<![\w-])(-[a-z]|--[a-z][a-z-]*)\b(?=[ ,\n])", said.split("Options:")[1]))
    assert bash("query", "trades", "BHP", "--read") == {"--read-token"}


def test_bash_offers_values_files_and_directories(bash):
    formats = {"table", "json", "ndjson", "csv", "parquet", "arrow"}
    assert bash("query", "trades", "-o", "") == bash("query", "trades", "--output", "=", "") == bash("query", "trades", "--output", "=") == formats
    assert bash("query", "trades", "--output", "nd") == {"ndjson"}
    assert bash("completion", "") == {"bash", "zsh", "fish"}
    assert {"hole", "cut", "rest_429"} <= bash("sim", "--fault", "")
    assert bash("query", "snapshots", "") == {"trades_v2", "quotes_v2", "coverage"}
    assert bash("query", "trades", "--exchange", "") == {"asx", "binance"}
    assert bash("load", "binance", "f") == {"first trades.csv"}
    assert bash("load", "asx", "--trades", "second.csv", "f") == {"first trades.csv"}, "one more of several files"
    assert bash("query", "trades", "--data-dir", "") == {"warehouse"}
    assert bash("up", "--ca-file", "s") == {"second.csv"}
    assert bash("query", "trades", "--limit", "") == set()
    assert bash("query", "trades", "--start", "-15m", "--li") == {"--limit"}, "a value may begin with a dash"
    assert bash("query", "trades", "--data-dir", "query", "-o", "cs") == {"csv"}, "a value may be named like a command"


def test_fish_offers_commands_flags_and_values(script, shop):
    fish = need("fish")

    def offers(line: str) -> set[str]:
        done = subprocess.run([fish, "--no-config", "-c", f"source {script('fish')}; complete -C '{line}'"], cwd=shop, capture_output=True, text=True,
                              env=program.environment({"XDG_CONFIG_HOME": str(shop), "HOME": str(shop)}))  # fish makes itself directories
        assert done.returncode == 0 and not done.stderr, done.stderr
        return {offer.split("\t")[0] for offer in done.stdout.splitlines()}

    assert offers("k2 ") == commands_of(program.run("--help").stdout.decode())
    assert offers("k2 query dea") == {"dead-letters"}
    assert offers("k2 query trades -o ") == {"table", "json", "ndjson", "csv", "parquet", "arrow"}
    assert "--read-token" in offers("k2 query trades BHP --re")
    assert "second.csv" in offers("k2 load binance s")
    assert offers("k2 query trades --data-dir w") == {"warehouse/"}


def typed_into_zsh(line: str, directory) -> str:
    """What a terminal with zsh shows after `line` was typed there."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(directory)
        os.execve(need("zsh"), ["zsh", "-f", "-i"], {**os.environ, "TERM": "dumb", "PS1": "> ", "HOME": str(directory)})
    shown = b""

    def until(text: bytes, seconds: float = 20) -> None:
        nonlocal shown
        deadline = time.monotonic() + seconds
        while text not in shown and time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.1)[0]:
                shown += os.read(terminal, 4096)

    try:
        os.write(terminal, b"fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -D; unsetopt list_beep; print re''ady\n")
        until(b"ready")
        shown = b""
        os.write(terminal, line.encode())
        until(b"=never=", 2)
        return re.sub(r".\x08", "", shown.decode(errors="replace"))
    finally:
        os.close(terminal)
        os.waitpid(child, 0)


def test_zsh_completes_commands_flags_and_values(script, tmp_path):
    zsh = need("zsh")
    assert subprocess.run([zsh, "-n", script("zsh")], capture_output=True).stderr == b""
    shutil.copy(script("zsh"), tmp_path / "_k2")
    assert "k2 query dead-letters " in typed_into_zsh("k2 que\tdead\t", tmp_path)
    assert "--read-token" in typed_into_zsh("k2 query trades --read-\t", tmp_path)
    assert "k2 query trades -o ndjson" in typed_into_zsh("k2 query trades -o nd\t", tmp_path)


@pytest.fixture(scope="module")
def manual(tmp_path_factory):
    path = tmp_path_factory.mktemp("manual") / "k2.1"
    path.write_bytes(program.run("man").stdout)
    return path


def test_mandoc_finds_nothing_to_mend_in_the_manual(manual):
    done = subprocess.run([need("mandoc"), "-T", "lint", "-W", "warning", manual], capture_output=True, text=True)
    assert [line for line in done.stdout.splitlines() if "missing date" not in line] == []


def test_the_manual_has_every_command_setting_and_example(manual):
    said = subprocess.run([need("mandoc"), "-T", "utf8", "-O", "width=200", manual], capture_output=True, text=True, check=True).stdout
    said = re.sub(r".\x08", "", said)
    for command in ("k2 demo", "k2 up", "k2 feed binance", "k2 load asx", "k2 query dead-letters", "k2 lake check", "k2 man"):
        assert re.search(rf'^ *"?{command}"?$', said, re.M), command
    for word in ("K2_LAKE_COMMIT_INTERVAL", "--until-caught-up", "one of bash, zsh, fish", "K2_LAKE_COMMIT_INTERVAL=1s k2 up", "COMMON OPTIONS", "EXIT STATUS"):
        assert word in said, word
