"""Zip archives: entries as files, and archives that mean harm."""

from __future__ import annotations

import io
import stat
import zipfile
from pathlib import Path

import pytest

from orchestrator.core import dataset as ds
from orchestrator.datasets import archives
from orchestrator.datasets.errors import Unreadable, UnsafeArchive
from orchestrator.datasets.files import Reading, bring, files
from tests.unit.datasets.store import Store, csv_of, files_of

ALL = ds.ZipArchive()


def zipped(entries: dict[str, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return packed.getvalue()


def test_the_entries_that_fit_are_the_files(tmp_path: Path) -> None:
    data = zipped({"cats/b.jpg": "bb", "cats/a.jpg": "a", "note.txt": "n", "empty/": ""})
    store = Store(tmp_path).put({"in/pets.zip": data})
    document = files_of("in/pets.zip", archive=ds.ZipArchive(entry_glob="**/*.jpg"))
    assert store.paths(document) == ["pets.zip/cats/a.jpg", "pets.zip/cats/b.jpg"]
    with Reading(store) as reading:
        places = bring(files(document, reading), tmp_path / "out", reading)
    assert [place.read_text() for place in places] == ["a", "bb"]


def test_a_table_may_lie_in_archives_of_the_web(tmp_path: Path) -> None:
    store = Store(tmp_path, {"http://h/x.zip": zipped({"a.csv": "n\n1\n", "b.csv": "n\n2\n"})})
    document = ds.DatasetDocument(
        type="tabular", sources=(ds.WebFile(url="http://h/x.zip"),), format=ds.DelimitedFormat(), archive=ALL
    )
    assert store.rows(document) == [{"n": 1}, {"n": 2}]


def test_of_a_large_archive_only_the_entries_wanted_are_read(tmp_path: Path) -> None:
    import random

    noise = random.Random(1).randbytes(6_000_000)
    store = Store(tmp_path).put({"x.zip": zipped({"large": noise, "small": "s"}, zipfile.ZIP_STORED)})
    with Reading(store) as reading:
        (leaf,) = files(files_of("x.zip", archive=ds.ZipArchive(entry_glob="small")), reading)
        with reading.open(leaf) as file:
            assert file.read() == b"s"
    assert store.read < 2_000_000


@pytest.mark.parametrize(
    "name", ["../out.txt", "a/../../out.txt", "/etc/passwd", "a\\..\\b", "C:/x", "a//b", "a/./b", "x\n"]
)
def test_an_entry_that_climbs_out_spoils_the_archive(tmp_path: Path, name: str) -> None:
    store = Store(tmp_path / "store").put({"x.zip": zipped({"good.txt": "1", name: "2"})})
    with Reading(store) as reading, pytest.raises(UnsafeArchive, match="may not be unpacked"):
        bring(files(files_of("x.zip", archive=ALL), reading), tmp_path / "out", reading)
    assert not (tmp_path / "out").exists()


def test_a_link_spoils_the_archive(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(UnsafeArchive, match="link"):
        Store(tmp_path).put({"x.zip": packed.getvalue()}).paths(files_of("x.zip", archive=ALL))


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    data = zipped({"zeros": bytes(archives.FREE + 1)})
    assert len(data) * archives.RATIO < archives.FREE
    with pytest.raises(UnsafeArchive, match="unpack to"):
        Store(tmp_path).put({"x.zip": data}).paths(files_of("x.zip", archive=ALL))


def test_an_entry_that_is_there_twice_spoils_the_archive(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a", "1")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a", "2")
    with pytest.raises(UnsafeArchive, match="twice"):
        Store(tmp_path).put({"x.zip": packed.getvalue()}).paths(files_of("x.zip", archive=ALL))


def test_too_many_entries_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_ENTRIES", 2)
    with pytest.raises(UnsafeArchive, match="3 entries"):
        Store(tmp_path).put({"x.zip": zipped({"a": "", "b": "", "c": ""})}).paths(files_of("x.zip", archive=ALL))


def test_what_is_no_archive_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="no zip archive"):
        Store(tmp_path).put({"x.zip": "text"}).paths(files_of("x.zip", archive=ALL))


def test_a_damaged_entry_is_unreadable(tmp_path: Path) -> None:
    data = bytearray(zipped({"a.csv": "n\n1\n"}, zipfile.ZIP_STORED))
    data[data.index(b"n\n1")] = ord("x")
    with pytest.raises(Unreadable):
        Store(tmp_path).put({"x.zip": bytes(data)}).table(csv_of("x.zip", archive=ALL))
