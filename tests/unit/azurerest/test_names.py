"""Names, keys, filters and dates."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest

from azurerest import names, odata
from azurerest.errors import Invalid
from azurerest.httpdate import format_http_date, parse_http_date

BAD_QUEUES = ["", "ab", "a" * 64, "Abc", "a--b", "-abc", "abc-", "a/b", "a.b", "ab\n", "abc\n", "ä" * 3, "../x"]
GOOD_QUEUES = ["abc", "a-b-c", "0" * 63, "azure-webjobs-blobtrigger-host"]


@pytest.mark.parametrize("name", GOOD_QUEUES)
def test_good_queue_and_container_names(name: str) -> None:
    assert names.queue_path(name) == names.container_path(name) == f"/{name}"


@pytest.mark.parametrize("name", BAD_QUEUES)
@pytest.mark.parametrize("check", [names.queue_path, names.container_path])
def test_bad_queue_and_container_names(check: Callable[[str], str], name: str) -> None:
    with pytest.raises(Invalid):
        check(name)


def test_special_containers() -> None:
    assert names.container_path("$root") == "/$root"
    with pytest.raises(Invalid):
        names.container_path("$other")


@pytest.mark.parametrize("name", ["", "ab", "1abc", "a-b", "a" * 64, "tables", "abc\n", "a'b"])
def test_bad_table_names(name: str) -> None:
    with pytest.raises(Invalid):
        names.table_name(name)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a/b.txt", "/con/a/b.txt"),
        ("a b+c%?#&=", "/con/a%20b%2Bc%25%3F%23%26%3D"),
        ("ü", "/con/%C3%BC"),
        ("...", "/con/..."),
        ("a..b/.c", "/con/a..b/.c"),
    ],
)
def test_blob_paths(name: str, path: str) -> None:
    assert names.blob_path("con", name) == path


@pytest.mark.parametrize("name", ["", "a" * 1025, "a/../b", "..", ".", "a/./b", "a\\..\\b", "a\nb", "a\x00", "\ud800"])
def test_bad_blob_names(name: str) -> None:
    with pytest.raises(Invalid):
        names.blob_path("con", name)


@pytest.mark.parametrize("key", ["a/b", "a\\b", "a#b", "a?b", "a\tb", "a\x85", "a" * 513, "😀" * 257, "\ud800"])
def test_bad_keys(key: str) -> None:
    with pytest.raises(Invalid, match=r"RowKey|Unicode"):
        names.check_key("RowKey", key)


def test_keys_in_paths() -> None:
    assert odata.entity_path("t", "it's", "a b%|(),=") == (
        "/t(PartitionKey='it%27%27s',RowKey='a%20b%25%7C%28%29%2C%3D')"
    )


def test_ranges() -> None:
    assert odata.key_range("p'") == "PartitionKey eq 'p'''"
    assert odata.key_range("p", "h", "j") == "PartitionKey eq 'p' and RowKey ge 'h' and RowKey lt 'j'"
    assert odata.key_prefix("p", "c|") == "PartitionKey eq 'p' and RowKey ge 'c|' and RowKey lt 'c}'"
    for prefix in ("", "a\ud7ff"):
        with pytest.raises(Invalid):
            odata.key_prefix("p", prefix)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("o'clock", "'o''clock'"),
        (True, "true"),
        (1, "1"),
        (2**31, "2147483648L"),
        (-(2**31), "-2147483648"),
        (1.5, "1.5"),
        (1e22, "1e+22"),
        (b"\x00\xff", "X'00ff'"),
        (datetime(2024, 5, 6, 9, tzinfo=timezone(timedelta(hours=2))), "datetime'2024-05-06T07:00:00.000000Z'"),
    ],
)
def test_literals(value: str | int | float | bool | bytes | datetime, text: str) -> None:
    assert odata.literal(value) == text


@pytest.mark.parametrize("value", [2**63, float("inf"), float("nan"), datetime(2024, 1, 1)])
def test_bad_literals(value: int | float | datetime) -> None:
    with pytest.raises(Invalid):
        odata.literal(value)


def test_table_times() -> None:
    assert odata.parse_datetime("2024-05-06T07:08:09.1234567Z") == datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
    assert odata.parse_datetime("2024-05-06T07:08:09Z") == datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)


def test_http_dates() -> None:
    text = "Sun, 06 Nov 1994 08:49:37 GMT"
    assert format_http_date(784111777) == text
    assert parse_http_date(text) == datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "yesterday", "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 06 Foo 1994 08:49:37 GMT"])
def test_bad_http_dates(text: str) -> None:
    with pytest.raises(ValueError, match="not an HTTP date"):
        parse_http_date(text)
