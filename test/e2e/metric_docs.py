"""What docs/metrics.md says, read by its tables: | `name` | type | labels | meaning | what to do |. A name with a dagger appears when it happens."""

import pathlib
import re
import typing

ROW = re.compile(r"^\| `(k2_\w+)`( †)? \| (counter|gauge|histogram)\b", re.M)


class Metric(typing.NamedTuple):
    type: str
    from_start: bool  # of k2 up: it is there before anything has happened


def documented(path: pathlib.Path) -> dict[str, Metric]:
    rows = ROW.findall(path.read_text())
    assert rows and len({name for name, _, _ in rows}) == len(rows), "no metric, or one twice"
    return {name: Metric(kind, not dagger) for name, dagger, kind in rows}


def families(text: str) -> dict[str, str]:
    """Name -> type, of Prometheus's text form."""
    return dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.M))


def names_in(path: pathlib.Path) -> list[str]:
    """The metrics that a file of rules asks for; a histogram by its family's name."""
    names = set(re.findall(r"\bk2_\w+", re.sub(r"(?m)#.*$|summary:.*$|runbook:.*$", "", path.read_text())))
    return sorted(re.sub(r"_(bucket|sum|count)$", "", name) for name in names)
