"""The source folder: what is taken, left out and refused, and that nothing but its content matters."""

from __future__ import annotations

import hashlib
import io
import json
import os
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from millstream import snapshot as sources
from millstream.errors import Conflict, InvalidRequest, TooLarge
from millstream.views import LimitsView


def folder(place: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return place


def taken(place: Path) -> list[str]:
    return [file.path for file in sources.take(place).files]


def test_the_id_is_the_sum_of_the_canonical_manifest(tmp_path: Path) -> None:
    made = sources.take(folder(tmp_path, {"b.py": "b", "a/x.py": "x"}))
    manifest = [
        {"path": path, "sha256": hashlib.sha256(text.encode()).hexdigest(), "size": 1}
        for path, text in (("a/x.py", "x"), ("b.py", "b"))
    ]
    assert made.manifest == manifest
    assert made.id == hashlib.sha256(json.dumps(manifest, separators=(",", ":")).encode()).hexdigest()


def test_place_and_dates_do_not_matter_content_and_paths_do(tmp_path: Path) -> None:
    one, two = folder(tmp_path / "1", {"a.py": "a"}), folder(tmp_path / "2", {"a.py": "a"})
    os.utime(two / "a.py", (1, 1))
    assert sources.take(one).id == sources.take(two).id
    (two / "a.py").write_text("A")
    assert sources.take(one).id != sources.take(two).id
    (two / "a.py").write_text("a")
    (two / "a.py").rename(two / "b.py")
    assert sources.take(one).id != sources.take(two).id


def test_the_zip_is_the_same_bytes_each_time_and_holds_the_files(tmp_path: Path) -> None:
    place = folder(tmp_path, {"z.py": "z" * 5000, "a/über.py": "x", "empty": ""})
    first, second = io.BytesIO(), io.BytesIO()
    sources.write_zip(sources.take(place), first)
    for path in place.rglob("*.py"):
        path.chmod(0o755)
        os.utime(path, (1, 1))
    sources.write_zip(sources.take(place), second)
    assert first.getvalue() == second.getvalue()
    with zipfile.ZipFile(first) as archive:
        assert {name: archive.read(name).decode() for name in archive.namelist()} == {
            "a/über.py": "x",
            "empty": "",
            "z.py": "z" * 5000,
        }


def test_caches_and_what_holds_tokens_are_left_out(tmp_path: Path) -> None:
    junk = [f"{name}/x" for name in ("__pycache__", ".git", ".ipynb_checkpoints", ".venv", ".millstream", ".azureml")]
    deeper = ["sub/__pycache__/a.pyc", "env/pyvenv.cfg", "env/lib.py"]
    place = folder(tmp_path, dict.fromkeys(["a.py", *deeper, *junk], ""))
    assert taken(place) == ["a.py"]


def test_amlignore_counts_and_then_gitignore_does_not(tmp_path: Path) -> None:
    place = folder(tmp_path, {"a.py": "", "data/x.csv": "", "keep/x.csv": "", "notes.txt": "", "sub/notes.txt": ""})
    (place / ".gitignore").write_text("*.csv\n!keep/x.csv\n/notes.txt\n")
    assert taken(place) == ["a.py", "keep/x.csv", "sub/notes.txt"]
    (place / ".amlignore").write_text("# comment\ndata/\n")
    assert taken(place) == ["a.py", "keep/x.csv", "notes.txt", "sub/notes.txt"]


def test_what_an_ignore_file_says_changes_the_id_only_through_the_files(tmp_path: Path) -> None:
    place = folder(tmp_path, {"a.py": ""})
    before = sources.take(place).id
    (place / ".amlignore").write_text("*.csv")
    assert sources.take(place).id == before


def test_links_inside_are_followed_and_links_out_are_refused(tmp_path: Path) -> None:
    place = folder(tmp_path / "src", {"a.py": "a", "lib/b.py": "b"})
    (place / "same.py").symlink_to("a.py")
    (place / "other").symlink_to("lib")
    assert taken(place) == ["a.py", "lib/b.py", "other/b.py", "same.py"]
    (tmp_path / "secret").write_text("x")
    (place / "leak").symlink_to(tmp_path / "secret")
    with pytest.raises(InvalidRequest, match="leads out of the source folder"):
        sources.take(place)
    (place / ".amlignore").write_text("leak")
    assert "leak" not in taken(place)


def test_a_link_to_a_folder_around_it_is_refused_instead_of_followed_for_ever(tmp_path: Path) -> None:
    place = folder(tmp_path, {"a/b/x.py": ""})
    (place / "a" / "b" / "up").symlink_to(place / "a")
    with pytest.raises(InvalidRequest, match="a folder that it lies in"):
        sources.take(place)


def test_pipes_and_dead_links_are_left_out(tmp_path: Path) -> None:
    place = folder(tmp_path, {"a.py": ""})
    os.mkfifo(place / "pipe")
    (place / "dead").symlink_to("nowhere")
    assert taken(place) == ["a.py"]


def test_a_folder_that_is_not_there_or_empty_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="is not there"):
        sources.take(tmp_path / "none")
    with pytest.raises(InvalidRequest, match="has no files"):
        sources.take(tmp_path)


def test_a_name_that_no_service_would_take_is_refused(tmp_path: Path) -> None:
    place = folder(tmp_path, {"a\\b.py": ""})
    with pytest.raises(InvalidRequest, match="backslash"):
        sources.take(place)


def test_too_much_is_refused_naming_the_largest_files(tmp_path: Path) -> None:
    made = sources.take(folder(tmp_path, {"big.bin": "x" * 3000, "a.py": "x"}))
    with pytest.raises(TooLarge, match=r'3\.0 kB in 2 files; the service takes 2\.0 kB.*"big\.bin" \(3\.0 kB\)'):
        sources.check_size(made, LimitsView(snapshot_bytes=2000))
    with pytest.raises(TooLarge, match=r"takes 300\.0 MB and 1 files"):
        sources.check_size(made, LimitsView(snapshot_files=1))


def test_a_large_folder_is_warned_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = sources.take(folder(tmp_path, {"big.bin": "x" * 3000}))
    with warnings.catch_warnings():
        sources.check_size(made, LimitsView())
    monkeypatch.setattr(sources, "LARGE", 1000)
    with pytest.warns(UserWarning, match=r"goes up whole.*big\.bin"):
        sources.check_size(made, LimitsView())


def test_a_file_that_changes_under_our_hands_is_noticed(tmp_path: Path) -> None:
    made = sources.take(folder(tmp_path, {"a.py": "before"}))
    (tmp_path / "a.py").write_text("after")
    with pytest.raises(Conflict, match="changed while it was read"):
        sources.write_zip(made, io.BytesIO())
