"""Macros for what C# does and DuckDB does otherwise. Where they cannot do the same they fail, and never answer wrongly.

Text: C# counts UTF-16 units, and compares by the rules of a culture where it looks for a beginning or an end; both are
as DuckDB has it for printable ASCII alone, and for other text the macros fail.
"""

from __future__ import annotations

from typing import Final

_SPACE: Final = r"\x{9}-\x{D}\x{20}\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}"
_BEYOND: Final = r"[\x{10000}-\x{10FFFF}]"
_CASED: Final = r"[\x{0}-\x{7F}\x{C0}-\x{D6}\x{D8}-\x{DE}\x{E0}-\x{F6}\x{F8}-\x{FE}]*"
_PLAIN: Final = r"[\x{9}\x{A}\x{D}\x{20}-\x{7E}]*"
_WHOLE: Final = rf"[{_SPACE}]*[+-]?[0-9]+[{_SPACE}]*"
_REAL: Final = rf"[{_SPACE}]*[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?[{_SPACE}]*"
_DATE: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?)?"


def _number(name: str, pattern: str, kind: str) -> str:
    return (
        f"CREATE MACRO usql_{name}(v, what) AS CASE WHEN v IS NULL THEN NULL "
        f"WHEN regexp_full_match(v, '{pattern}') "
        f"THEN CAST(regexp_replace(v, '[{_SPACE}]', '', 'g') AS {kind}) "
        f"ELSE error(what || ': ' || v || ' is no {name}') END"
    )


MACROS: Final = (
    "CREATE MACRO usql_some(v, what) AS CASE WHEN v IS NULL THEN error(what || ' is null') ELSE v END",
    _number("byte", _WHOLE, "UTINYINT"),
    _number("short", _WHOLE, "SMALLINT"),
    _number("int", _WHOLE, "INTEGER"),
    _number("long", _WHOLE, "BIGINT"),
    _number("double", _REAL, "DOUBLE"),
    (
        f"CREATE MACRO usql_bool(v, what) AS CASE WHEN v IS NULL THEN NULL "
        f"WHEN lower(regexp_replace(v, '[{_SPACE}]', '', 'g')) = 'true' THEN TRUE "
        f"WHEN lower(regexp_replace(v, '[{_SPACE}]', '', 'g')) = 'false' THEN FALSE "
        "ELSE error(what || ': ' || v || ' is no bool') END"
    ),
    (
        f"CREATE MACRO usql_datetime(v, what) AS CASE WHEN v IS NULL THEN NULL "
        f"WHEN regexp_full_match(v, '{_DATE}') THEN CAST(v AS TIMESTAMP) "
        "ELSE error(what || ': ' || v || ' is no DateTime as yyyy-MM-dd HH:mm:ss') END"
    ),
    (
        f"CREATE MACRO usql_length(v) AS CAST(length(v) + length(v) "
        f"- length(regexp_replace(v, '{_BEYOND}', '', 'g')) AS INTEGER)"
    ),
    (
        f"CREATE MACRO usql_units(v, what) AS CASE WHEN regexp_matches(v, '{_BEYOND}') "
        "THEN error(what || ': text beyond the basic plane is not in the subset') ELSE v END"
    ),
    (
        f"CREATE MACRO usql_plain(v, what) AS CASE WHEN regexp_full_match(v, '{_PLAIN}') THEN v "
        "ELSE error(what || ' of text outside printable ASCII is not in the subset') END"
    ),
    (
        f"CREATE MACRO usql_cased(v, what) AS CASE WHEN regexp_full_match(v, '{_CASED}') THEN v "
        "ELSE error(what || ' of letters outside Latin-1 is not in the subset') END"
    ),
    (
        "CREATE MACRO usql_substring(v, start, count) AS CASE WHEN start < 0 OR count < 0 OR start + count > length(v) "
        "THEN error('Substring: ' || start || ', ' || count || ' lies outside of ' || v) "
        "ELSE substring(v, CAST(start + 1 AS BIGINT), CAST(count AS BIGINT)) END"
    ),
    f"CREATE MACRO usql_trim(v) AS regexp_replace(v, '^[{_SPACE}]+|[{_SPACE}]+$', '', 'g')",
    f"CREATE MACRO usql_trim_start(v) AS regexp_replace(v, '^[{_SPACE}]+', '')",
    f"CREATE MACRO usql_trim_end(v) AS regexp_replace(v, '[{_SPACE}]+$', '')",
    f"CREATE MACRO usql_blank(v) AS (v IS NULL OR regexp_full_match(v, '[{_SPACE}]*'))",
    (
        "CREATE MACRO usql_replace(v, old, new) AS CASE WHEN old = '' THEN error('Replace of an empty text') "
        "ELSE replace(v, old, coalesce(new, '')) END"
    ),
)
