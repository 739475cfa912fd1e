from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.result import Metric, ModelRegistration
from steps import spool
from steps.spool import NamedFile


def write(path: Path, *records: object) -> Path:
    path.write_bytes(b"".join((r if isinstance(r, bytes) else json.dumps(r).encode()) + b"\n" for r in records))
    return path


def test_everything_that_can_be_reported(tmp_path: Path) -> None:
    model = {"op": "model", "name": "m", "path": "outputs/m", "tags": {"a": "b"}, "framework": "x", "properties": None}
    reported = spool.read(
        write(
            tmp_path / "spool",
            {
                "op": "metric",
                "name": "loss",
                "kind": "scalar",
                "value": 0.5,
                "at": 1.0,
                "step": None,
                "description": "",
            },
            {"op": "metric", "name": "row", "kind": "row", "value": {"a": [1, None]}, "at": 2, "step": 3},
            {"op": "tag", "key": "k", "value": "first"},
            {"op": "tag", "key": "k", "value": "last"},
            {"op": "property", "key": "p", "value": "first"},
            {"op": "property", "key": "p", "value": "last"},
            {"op": "file", "name": "outputs/x.png", "path": "/tmp/x.png"},
            model,
        ),
        limit=10_000,
    )
    assert reported.metrics == [
        Metric(name="loss", kind="scalar", value=0.5, at=1.0),
        Metric(name="row", kind="row", value={"a": [1, None]}, at=2.0, step=3),
    ]
    assert reported.tags == {"k": "last"}
    assert reported.properties == {"p": "first"}
    assert reported.files == [NamedFile(name="outputs/x.png", path="/tmp/x.png")]
    assert reported.models == [ModelRegistration(name="m", path="outputs/m", tags={"a": "b"}, framework="x")]
    assert reported.complaints == []


def test_a_malformed_line_is_told_and_the_others_count(tmp_path: Path) -> None:
    good = {"op": "tag", "key": "k", "value": "v"}
    bad = [
        b"{",
        b"\xff\xfe",
        b"[]",
        {"op": "tag", "key": 1, "value": "v"},
        {"op": "other"},
        {"key": "k"},
        b"{" * 10_000,
    ]
    reported = spool.read(write(tmp_path / "spool", *bad, good, b""), limit=100_000)
    assert reported.tags == {"k": "v"}
    assert len(reported.complaints) == len(bad)
    assert all(f"line {number}" in text for number, text in enumerate(reported.complaints, 1))
    assert all(len(text) < 400 for text in reported.complaints)


def test_complaints_and_size_are_bounded(tmp_path: Path) -> None:
    reported = spool.read(write(tmp_path / "spool", *[b"x"] * 1000), limit=10_000)
    assert len(reported.complaints) == spool.MOST_COMPLAINTS + 1
    assert reported.complaints[-1] == "... and 980 more such lines."
    record = {"op": "tag", "key": "k", "value": "v" * 100}
    reported = spool.read(write(tmp_path / "spool", *[record] * 10), limit=500)
    assert reported.complaints == ["The script reported more than 500 bytes; what follows is left out."]


def test_no_spool(tmp_path: Path) -> None:
    assert spool.read(tmp_path / "none", limit=10) == spool.Reported()


@given(
    st.lists(
        st.binary(max_size=80)
        | st.recursive(st.none() | st.text() | st.floats(), st.lists).map(lambda v: json.dumps(v).encode())
    )
)
def test_nothing_crashes_it(lines: list[bytes]) -> None:
    import tempfile

    with tempfile.NamedTemporaryFile() as file:
        file.write(b"\n".join(lines))
        file.flush()
        spool.read(Path(file.name), limit=1000)
