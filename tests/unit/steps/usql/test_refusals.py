"""What is outside the subset is refused with its name and place, before anything runs."""

from __future__ import annotations

import pytest

from steps.usql.refusal import Place, Refused
from steps.usql.run import translate

ROWS = '@t = SELECT * FROM (VALUES (1, (int?)2, "a", true, 1.5)) AS v(i, n, s, b, d);\n'


@pytest.mark.parametrize(
    ("script", "place", "says"),
    [
        # Statements and clauses
        ("@out = PROCESS @t PRODUCE x int USING new My.Processor();", (2, 8), "PROCESS is not in the subset"),
        ("@out = REDUCE @t ON i PRODUCE i int USING new R();", (2, 8), "REDUCE"),
        ("USE DATABASE master;", (2, 1), "USE"),
        ("CREATE TABLE x (i int);", (2, 1), "CREATE"),
        ("REFERENCE ASSEMBLY [my];", (2, 1), "REFERENCE"),
        ("INSERT INTO x SELECT * FROM @t;", (2, 1), "INSERT"),
        ("IF true THEN END;", (2, 1), "IF"),
        ("@out = SELECT i FROM @t INTERSECT SELECT i FROM @t;", (2, 25), "INTERSECT"),
        ("@out = SELECT i FROM @t CROSS APPLY EXPLODE(s) AS x(y);", (2, 31), "APPLY"),
        ("@out = SELECT t.i FROM @t AS t ANTISEMIJOIN @t AS u ON t.i == u.i;", (2, 32), "ANTISEMIJOIN"),
        ("@out = SELECT SUM(i) OVER (PARTITION BY s) AS x FROM @t;", (2, 22), "OVER"),
        ("@out = SELECT i FROM @t ORDER BY i;", (2, 34), "needs FETCH"),
        ("@out = SELECT i FROM @t FETCH 3 ROWS;", (2, 15), "need ORDER BY"),
        ("@out = SELECT s FROM @t ORDER BY s FETCH 3 ROWS;", (2, 34), "order of texts"),
        ("@out = SELECT i FROM @t ORDER BY i FETCH 1 ROWS UNION ALL SELECT i FROM @t;", (2, 34), "beside UNION"),
        ("@out = SELECT i FROM @t UNION ALL SELECT n FROM @t;", (2, 42), "same columns"),
        ("@out = SELECT i FROM db.dbo.x;", (2, 22), "'db'"),
        ("@out = select i from @t;", (2, 8), "'select'"),
        ("@out = SELECT i FROM @t", (2, 24), "The script ends"),
        # Names
        ("@out = SELECT x FROM @t;", (2, 15), "no column x; there are: i, n, s, b, d"),
        ("@out = SELECT I FROM @t;", (2, 15), "no column I"),
        ("@out = SELECT i FROM @u;", (2, 22), "no rowset @u"),
        ("@out = SELECT @x AS x FROM @t;", (2, 15), "@x is not declared"),
        ("@out = SELECT i + 1 FROM @t;", (2, 17), "needs a name"),
        ("@out = SELECT i, i FROM @t;", (2, 18), "The column i is twice"),
        ("@out = SELECT i, n AS I FROM @t;", (2, 18), "by case alone"),
        ("@out = SELECT i FROM @t AS a CROSS JOIN @t AS b;", (2, 15), "of a and of b"),
        ("@out = SELECT a.x FROM @t AS a;", (2, 17), "a has no column x"),
        ('OUTPUT @t TO "x" USING Outputters.Csv(charFormat: "uint16");', (2, 39), "charFormat"),
        ('OUTPUT @t TO "x" USING Outputters.Parquet();', (2, 24), "Outputters.Parquet"),
        ('@out = EXTRACT i int FROM "x" USING new My.Extractor();', (2, 37), "new"),
        ('@out = EXTRACT i int FROM "x{date}.csv" USING Extractors.Csv();', (2, 27), "Sets of files"),
        ('@out = EXTRACT i int FROM "x" USING Extractors.Csv(silent: true);', (2, 37), "silent"),
        ('@out = EXTRACT i int FROM "x" USING Extractors.Csv(encoding: Encoding.UTF7);', (2, 71), "Encoding.UTF8"),
        ('@out = EXTRACT i int FROM "x" USING Extractors.Text(delimiter: "||");', (2, 64), "One character"),
        # Types
        ('@out = EXTRACT i decimal FROM "x" USING Extractors.Csv();', (2, 18), "decimal"),
        ('@out = EXTRACT i Guid FROM "x" USING Extractors.Csv();', (2, 18), "Guid"),
        ('@out = EXTRACT i string? FROM "x" USING Extractors.Csv();', (2, 18), "no string?"),
        ('@out = EXTRACT i SqlArray<int> FROM "x" USING Extractors.Csv();', (2, 18), "SqlArray"),
        ("DECLARE @x int = null;", (2, 18), "of type int"),
        ('DECLARE @x int = "1";', (2, 18), "of type string"),
        ("DECLARE @x double = 1.5m;", (2, 21), "decimal"),
        ("DECLARE @x long = 1u;", (2, 19), "Unsigned"),
        ("@out = SELECT null AS x FROM @t;", (2, 15), "has no type"),
        ("@out = SELECT (int)s AS x FROM @t;", (2, 16), "cast from string to int"),
        ("@out = SELECT i ?? 1 AS x FROM @t;", (2, 15), "may be null"),
        ('@out = SELECT n ?? "x" AS x FROM @t;', (2, 17), "on its right"),
        ('@out = SELECT b ? 1 : "x" AS x FROM @t;', (2, 15), "no type in common"),
        ("@out = SELECT b ? i : null AS x FROM @t;", (2, 15), "no type in common"),
        ("@out = SELECT i ? 1 : 2 AS x FROM @t;", (2, 15), "must be a bool"),
        # Operators
        ("@out = SELECT i & 1 AS x FROM @t;", (2, 17), "'&'"),
        ("@out = SELECT i << 1 AS x FROM @t;", (2, 18), "'<'"),
        ("@out = SELECT i = 1 AS x FROM @t;", (2, 17), "'='"),
        ("@out = SELECT i <> 1 AS x FROM @t;", (2, 18), "'>'"),
        ("@out = SELECT s == 1 AS x FROM @t;", (2, 17), "compares"),
        ('@out = SELECT s < "b" AS x FROM @t;', (2, 17), "numbers or DateTimes"),
        ("@out = SELECT i && b AS x FROM @t;", (2, 15), "needs bools"),
        ("@out = SELECT !n AS x FROM @t;", (2, 15), "needs a bool"),
        ("@out = SELECT b && b OR b AS x FROM @t;", (2, 22), "brackets"),
        ("@out = SELECT b || NOT b AS x FROM @t;", (2, 17), "brackets"),
        ("@out = SELECT s + d AS x FROM @t;", (2, 19), "added to a text"),
        ("@out = SELECT s - s AS x FROM @t;", (2, 17), "not known"),
        ("@out = SELECT d % 2 AS x FROM @t;", (2, 17), "% of doubles"),
        ("@out = SELECT i FROM @t WHERE n;", (2, 31), "must be a bool"),
        ('@out = SELECT i FROM @t WHERE s LIKE "a%";', (2, 33), "LIKE"),
        ("@out = SELECT i FROM @t WHERE n IS NULL;", (2, 33), "IS"),
        # Methods and literals
        ("@out = SELECT s.Split(',') AS x FROM @t;", (2, 17), "string.Split"),
        ("@out = SELECT s[0] AS x FROM @t;", (2, 16), "[0]"),
        ("@out = SELECT s.Length() AS x FROM @t;", (2, 17), "string.Length"),
        ("@out = SELECT n.ToString() AS x FROM @t;", (2, 17), "int? has no ToString"),
        ("@out = SELECT d.ToString() AS x FROM @t;", (2, 17), "double.ToString"),
        ('@out = SELECT string.Format("{0}", i) AS x FROM @t;', (2, 22), "string.Format"),
        ("@out = SELECT Math.Round(d) AS x FROM @t;", (2, 20), "Math.Round"),
        ("@out = SELECT DateTime.Now AS x FROM @t;", (2, 24), "DateTime.Now"),
        ("@out = SELECT My.Helper.Do(s) AS x FROM @t;", (2, 15), "no column My"),
        ("@out = SELECT new SqlArray<int>{1} AS x FROM @t;", (2, 15), "new"),
        ("@out = SELECT s.Where(c => c > 1) AS x FROM @t;", (2, 25), "'='"),
        ('@out = SELECT "\\q" AS x FROM @t;', (2, 15), "no escape"),
        ('@out = SELECT $"{i}" AS x FROM @t;', (2, 15), "'$'"),
        ("@out = SELECT 'c' AS x FROM @t;", (2, 15), "character"),
        ('@out = SELECT "abc AS x FROM @t;', (2, 15), "'\"'"),
        # Aggregates and joins
        ("@out = SELECT s, COUNT(*) AS n FROM @t;", (2, 15), "neither in GROUP BY"),
        ("@out = SELECT s, i + 1 AS x FROM @t GROUP BY s, i + 2;", (2, 18), "neither in GROUP BY"),
        ("@out = SELECT MAX(s) AS x FROM @t;", (2, 15), "how it would be ordered"),
        ("@out = SELECT SUM(s) AS x FROM @t;", (2, 15), "needs numbers"),
        ("@out = SELECT STDEV(d) AS x FROM @t;", (2, 15), "STDEV is not in the subset"),
        ("@out = SELECT ARRAY_AGG(i) AS x FROM @t;", (2, 15), "ARRAY_AGG"),
        ("@out = SELECT i FROM @t WHERE COUNT(*) > 1;", (2, 31), "COUNT is not in the subset here"),
        ("@out = SELECT SUM(COUNT(i)) AS x FROM @t;", (2, 19), "COUNT is not in the subset here"),
        ("@out = SELECT a.i FROM @t AS a JOIN @t AS b ON a.i > b.i;", (2, 52), "takes equalities"),
        ("@out = SELECT a.i FROM @t AS a JOIN @t AS b ON a.i == b.i || a.n == b.n;", (2, 59), "takes equalities"),
        ("@out = SELECT a.i FROM @t AS a JOIN @t AS b ON a.i == b.i + 1;", (2, 59), "compares columns"),
        ("@out = SELECT a.i FROM @t AS a JOIN @t AS b ON a.i == a.n;", (2, 52), "of the new rowset"),
        ("@out = SELECT a.i FROM @t AS a JOIN @t AS b ON a.s == b.i;", (2, 52), "compares"),
        ("@out = SELECT a.i FROM @t AS a JOIN @t AS a ON a.i == a.i;", (2, 37), "two rowsets a"),
    ],
)  # fmt: skip
def test_refused(script: str, place: tuple[int, int], says: str) -> None:
    with pytest.raises(Refused) as caught:
        translate(ROWS + script)
    assert (caught.value.place, caught.value.message) == (Place(*place), caught.value.message)
    assert says in caught.value.message
    assert str(caught.value).startswith(f"line {place[0]}, column {place[1]}: ")


def test_places_are_those_of_the_script_as_it_was_given() -> None:
    script = (
        '@a = SELECT * FROM (VALUES (@@one@@, "@@long@@")) AS v(i, s); @b = SELECT x FROM @a;\n@c = SELECT y FROM @a;'
    )
    values = {"one": "1", "long": "x" * 100}
    with pytest.raises(Refused) as caught:
        translate(script, values)
    assert caught.value.place == Place(1, script.index("x FROM") + 1)
    with pytest.raises(Refused) as caught:
        translate(script.replace("SELECT x", "SELECT i"), values)
    assert caught.value.place == Place(2, 13)
    with pytest.raises(Refused) as caught:
        translate(script, {**values, "one": "1 + &"})
    assert caught.value.place == Place(1, script.index("@@one") + 1)


def test_a_name_without_a_value() -> None:
    with pytest.raises(Refused, match="line 2, column 3: There is no value for @@b@@; there are: a"):
        translate("@@a@@\n  @@b@@", {"a": ""})
    with pytest.raises(Refused, match="line break"):
        translate("@@a@@", {"a": "1;\n2"})
