"""A small HTTP client for the tests: standard library only."""

import json
import urllib.error
import urllib.request


class Answer:
    def __init__(self, status: int, headers, body: bytes):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


def get(url: str, seconds: float = 20) -> Answer:
    """Any status is an answer; no answer is an OSError."""
    try:
        with urllib.request.urlopen(url, timeout=seconds) as answer:
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.headers, error.read())


def is_up(url: str) -> bool:
    try:
        return get(url, seconds=2).status == 200
    except OSError:
        return False


def events(url: str, count: int, seconds: float = 30) -> list[dict]:
    """The first `count` data events of an SSE stream."""
    found = []
    with urllib.request.urlopen(url, timeout=seconds) as answer:
        assert answer.headers.get_content_type() == "text/event-stream"
        data = []
        for line in answer:
            text = line.decode().rstrip("\r\n")
            if text.startswith("data:"):
                data.append(text[5:].lstrip())
            elif not text and data:
                found.append(json.loads("\n".join(data)))
                data = []
                if len(found) == count:
                    return found
    return found
