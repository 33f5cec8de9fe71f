"""A page as a browser shows it: Chromium without a window, spoken to over a pipe (the DevTools protocol); standard library only."""

import json
import os
import select
import shutil
import subprocess
import tempfile
import time

import pytest

import program

NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> str:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if not found:
        pytest.skip("no chromium")
    return found


class Browser:
    """One page. evaluate() gives what an expression is worth in it."""

    def __init__(self, url: str):
        self.directory = tempfile.TemporaryDirectory(prefix="k2-chromium-", ignore_cleanup_errors=True)
        self.calls, self.unread, self.errors = 0, b"", []
        commands, self.out = os.pipe()
        self.answers, answers = os.pipe()
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
                 "--remote-debugging-pipe", f"--user-data-dir={self.directory.name}", "about:blank"]
        # Chromium reads commands from 3 and answers on 4.
        self.process = subprocess.Popen(["bash", "-c", f'exec "$0" "$@" 3<&{commands} 4>&{answers}', chromium(), *flags],
                                        pass_fds=(commands, answers), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(commands)
        os.close(answers)
        pages = program.wait_until(lambda: [target for target in self.call("Target.getTargets")["targetInfos"] if target["type"] == "page"], "a page")
        self.session = self.call("Target.attachToTarget", targetId=pages[0]["targetId"], flatten=True)["sessionId"]
        self.call("Runtime.enable")
        self.call("Page.enable")
        self.call("Page.navigate", url=url)

    session = None

    def _message(self, seconds: float) -> dict:
        deadline = time.monotonic() + seconds
        while b"\0" not in self.unread:
            assert select.select([self.answers], [], [], max(0, deadline - time.monotonic()))[0], f"chromium said nothing for {seconds} s"
            more = os.read(self.answers, 1 << 16)
            assert more, "chromium has ended"
            self.unread += more
        message, self.unread = self.unread.split(b"\0", 1)
        return json.loads(message)

    def call(self, method: str, **parameters):
        self.calls += 1
        session = {"sessionId": self.session} if self.session else {}
        os.write(self.out, json.dumps({"id": self.calls, "method": method, "params": parameters, **session}).encode() + b"\0")
        while True:
            message = self._message(30)
            if message.get("method") == "Runtime.exceptionThrown":
                self.errors.append(message["params"]["exceptionDetails"])
            if message.get("id") == self.calls:
                assert "error" not in message, message
                return message["result"]

    def evaluate(self, expression: str):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def text(self, selector: str) -> str:
        return self.evaluate(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")

    def wait_until(self, condition, what: str, seconds: float = 30):
        """Its first true value; a failure shows the page."""
        try:
            return program.wait_until(condition, what, seconds, every=0.2)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.text('body')}") from None

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.out)
        os.close(self.answers)
        self.directory.cleanup()
