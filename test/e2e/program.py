"""k2 as a user runs it: commands that end, and programs that run until they are stopped, crashed or restarted."""

import os
import pathlib
import signal
import socket
import subprocess
import time

from source_data import REPOSITORY

BINARY = pathlib.Path(os.environ.get("K2_BIN", REPOSITORY / "build" / "release" / "k2")).absolute()
TALK_BYTES_SHOWN = 4000


def environment(extra: dict | None = None) -> dict:
    """The caller's environment without k2's own settings, so that a developer's configuration changes no test."""
    keep = {key: value for key, value in os.environ.items() if not key.startswith("K2_") and key not in ("XDG_CONFIG_HOME", "NO_COLOR")}
    return {**keep, "XDG_CONFIG_HOME": "/dev/null/none", "NO_COLOR": "1", **(extra or {})}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition, what: str, seconds: float = 30, every: float = 0.05):
    """The condition's first true value; a failure that says what was waited for."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(every)


def run(*arguments, env: dict | None = None, seconds: float = 120, expect: int | None = 0, cwd=None, stdin: bytes = b"",
        binary: pathlib.Path = BINARY) -> subprocess.CompletedProcess:
    """Runs a command to its end. A death by signal always fails; `expect` None takes any exit code."""
    command = [str(binary), *map(str, arguments)]
    done = subprocess.run(command, env=environment(env), capture_output=True, timeout=seconds, cwd=cwd, input=stdin)
    said = f"{' '.join(command)}\nexit code {done.returncode}\n{done.stderr[-TALK_BYTES_SHOWN:].decode(errors='replace')}"
    assert done.returncode >= 0 and done.returncode < 128, f"died by a signal: {said}"
    assert expect is None or done.returncode == expect, f"wanted exit code {expect}: {said}"
    return done


class Program:
    """A k2 that runs on. Its talk goes to a file, shown when something fails."""

    def __init__(self, *arguments, env: dict | None = None, directory: pathlib.Path, name: str):
        self.arguments, self.env, self.name = [str(argument) for argument in arguments], env, name
        self.directory = pathlib.Path(directory)
        self.talk_file = self.directory / f"{name}.talk"
        self.data_file = self.directory / f"{name}.out"
        self.process: subprocess.Popen | None = None
        self.starts = 0

    def start(self, extra_env: dict | None = None) -> "Program":
        assert not self.running(), f"{self.name} runs already"
        with open(self.talk_file, "ab") as talk, open(self.data_file, "ab") as data:
            self.process = subprocess.Popen([str(BINARY), *self.arguments], env=environment({**(self.env or {}), **(extra_env or {})}),
                                            stdin=subprocess.DEVNULL, stdout=data, stderr=talk)
        self.starts += 1
        return self

    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def crash(self) -> None:
        """SIGKILL: nothing is flushed, nothing is said."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def restart(self, extra_env: dict | None = None) -> "Program":
        if self.running():
            self.crash()
        return self.start(extra_env)

    def stop(self, seconds: float = 20) -> int:
        """SIGTERM, and the exit code."""
        if self.running():
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.crash()
                raise AssertionError(f"{self.name} did not stop within {seconds} s of SIGTERM\n{self.talk()}") from None
        return self.process.returncode

    def interrupt(self, seconds: float = 20) -> int:
        """Ctrl-C, and the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(seconds)

    def end(self) -> None:
        """At the end of a test, whatever happened in it."""
        if self.running():
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def talk(self) -> str:
        text = self.talk_file.read_bytes()[-TALK_BYTES_SHOWN:].decode(errors="replace") if self.talk_file.exists() else ""
        return f"--- {self.name}: {' '.join(self.arguments)}\n{text}"

    def wait_until(self, condition, what: str, seconds: float = 30, every: float = 0.05):
        """As wait_until, but ends at once when the program does."""
        def alive_or_true():
            value = condition()
            assert value or self.running(), f"{self.name} ended with {self.process.returncode} before {what}\n{self.talk()}"
            return value

        try:
            return wait_until(alive_or_true, what, seconds, every)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.talk()}") from None
