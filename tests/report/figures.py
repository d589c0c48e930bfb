"""What a report must show: figures looked up in the files of a run, and as texts. The page's own code is
vmm/report/page/format.js; this one is written apart from it, so that one checks the other."""

import collections
import decimal
import json
import pathlib


def rounded(value, places):
    """A decimal text of so many places, of what the double is exactly; halves go away from zero."""
    return str(decimal.Decimal(value).quantize(decimal.Decimal(1).scaleb(-places), decimal.ROUND_HALF_UP))


def three_digits(value):
    size = abs(value)
    return rounded(value, 0 if size >= 99.95 else 1 if size >= 9.995 else 2)


def whole(value):
    return float(value) == int(value)


def grouped(value):
    return f"{int(value):,}".replace(",", "\u202f") if whole(value) else three_digits(value)


def duration(ns):
    size = abs(ns)
    if size < 1e3:
        return f"{grouped(ns)} ns"
    for limit, scale, unit in ((999.5e3, 1e3, "us"), (999.5e6, 1e6, "ms")):
        if size < limit:
            return f"{three_digits(ns / scale)} {unit}"
    return f"{three_digits(ns / 1e9)} s"


def in_bytes(value):
    units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    while abs(value) >= 1024 and len(units) > 1:
        value /= 1024
        units.pop(0)
    return f"{int(value) if whole(value) else three_digits(value)} {units[0]}"


def text_of(value, unit):
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return {"ns": duration, "us": lambda v: duration(v * 1000), "bytes": in_bytes,
            "permille": lambda v: f"{three_digits(v / 10)} %", "ratio": three_digits}.get(unit, grouped)(value)


def audit_of(path):
    """What the lines of an audit.jsonl come to."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    records = [line for line in lines if "event" in line]
    times = [record["time_ns"] for record in records]
    return {"records": len(records), "lost": sum(line.get("lost", 0) for line in lines),
            "boots": sum("audit" in line for line in lines), "first_time_ns": times[0], "last_time_ns": times[-1],
            "events": collections.Counter(record["event"] for record in records)}


class Run:
    """The files of a run folder."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.loaded = {}

    def file(self, name):
        if name not in self.loaded:
            path = self.folder / name
            self.loaded[name] = audit_of(path) if name == "audit.jsonl" else json.loads(path.read_text())
            if name == "trace.json":
                self.loaded[name]["events_total"] = len(self.loaded[name]["traceEvents"])
        return self.loaded[name]

    def at(self, source):
        """What a source, `FILE#POINTER`, means (RFC 6901)."""
        name, _, pointer = source.partition("#")
        value = self.file(name)
        for key in pointer.split("/")[1:]:
            key = key.replace("~1", "/").replace("~0", "~")
            value = value[int(key) if isinstance(value, list) else key]
        return value


def value_at(runs, source):
    """What a source means, of runs by their letter ("" where there is one): one figure, or "B - A", or "B / A"."""
    for operator in (" - ", " / "):
        if operator in source:
            first, second = (value_at(runs, part) for part in source.split(operator))
            return first - second if operator == " - " else first / second
    letter, colon, rest = source.partition(":")
    return runs[letter].at(rest) if colon and letter in runs else runs[""].at(source)
