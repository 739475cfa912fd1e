"""Scripts of U-SQL, run on DuckDB; what comes out is what C# and U-SQL say."""

from __future__ import annotations

from pathlib import Path

import pytest

from steps.usql.refusal import Refused
from steps.usql.run import ScriptFailed
from tests.unit.steps.usql.scripts import execute, rows

PEOPLE = """@people = SELECT * FROM (VALUES
    (1, "Ann", (int?)31, "Oslo", 1.5),
    (2, "Bob", (int?)null, "Rome", -2.5),
    (3, "Cid", (int?)19, (string)null, 0.0),
    (4, "", (int?)31, "Oslo", 10.25)
) AS p(id, name, age, city, score);
"""
CITIES = """@cities = SELECT * FROM (VALUES ("Oslo", "NO"), ("Rome", "IT"), ("Lima", "PE")) AS c(city, land);
"""


def values(expression: str, folder: Path, *, where: str = "") -> list[str]:
    """An expression of every person, by id."""
    script = f"{PEOPLE}@made = SELECT id, {expression} AS x FROM @people {where};\n"
    script += "@out = SELECT x FROM (SELECT * FROM @made AS m ORDER BY id FETCH 100 ROWS) AS s;"
    return rows(script, folder)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        # Nulls: a comparison is true or false, never null.
        ("age == null", ["False", "True", "False", "False"]),
        ("age != null", ["True", "False", "True", "True"]),
        ("age == 31", ["True", "False", "False", "True"]),
        ("age != 31", ["False", "True", "True", "False"]),
        ("age < 20", ["False", "False", "True", "False"]),
        ("!(age < 20)", ["True", "True", "False", "True"]),
        ("age >= 20 || age < 20", ["True", "False", "True", "True"]),
        ("city == null", ["False", "False", "True", "False"]),
        ('city != "Oslo"', ["False", "True", "True", "False"]),
        ("age == age", ["True", "True", "True", "True"]),
        ("age + 1", ["32", "", "20", "32"]),
        # ??, ?: and casts of int?
        ("age ?? -1", ["31", "-1", "19", "31"]),
        ('city ?? "?"', ['"Oslo"', '"Rome"', '"?"', '"Oslo"']),
        ('age == null ? "none" : age.Value > 30 ? "old" : "young"', ['"old"', '"none"', '"young"', '"old"']),
        ("id > 2 ? age : null", ["", "", "19", "31"]),
        ("id > 2 ? id : score", ["1.5", "-2.5", "3", "4"]),
        ("age.HasValue", ["True", "False", "True", "True"]),
        ("age.GetValueOrDefault()", ["31", "0", "19", "31"]),
        # && and || ask only as far as they must: the right side would fail on a null.
        ("city != null && city.Length == 4", ["True", "True", "False", "True"]),
        ("city == null || city.Length == 4", ["True", "True", "True", "True"]),
        ("age != null && 100 / age.Value > 3", ["False", "False", "True", "False"]),
        # Numbers
        ("7 / 2", ["3"] * 4),
        ("-7 / 2", ["-3"] * 4),
        ("-7 % 2", ["-1"] * 4),
        ("id / 2.0", ["0.5", "1", "1.5", "2"]),
        ("(int)score", ["1", "-2", "0", "10"]),
        ("(int)(score + 0.9)", ["2", "-1", "0", "11"]),
        ("(double)id", ["1", "2", "3", "4"]),
        ("1 + 2 * 3 - -id", ["8", "9", "10", "11"]),
        ("2147483647L + id", ["2147483648", "2147483649", "2147483650", "2147483651"]),
        ("score / 0", ["Infinity", "-Infinity", "NaN", "Infinity"]),
        ("score / 0 == score / 0", ["True", "True", "False", "True"]),
        ("!(score / 0 >= 1)", ["False", "True", "True", "False"]),
        ("Math.Floor(score)", ["1", "-3", "0", "10"]),
        ("score * 1e20", ["1.5E+20", "-2.5E+20", "0", "1.025E+21"]),
        ("score / 1e9", ["1.5E-09", "-2.5E-09", "0", "1.025E-08"]),
        # Texts
        ('name + "-" + city', ['"Ann-Oslo"', '"Bob-Rome"', '"Cid-"', '"-Oslo"']),
        ('"#" + id + age', ['"#131"', '"#2"', '"#319"', '"#431"']),
        ("name.Length", ["3", "3", "3", "0"]),
        ("name.ToUpper()", ['"ANN"', '"BOB"', '"CID"', '""']),
        ('name.Replace("n", null)', ['"A"', '"Bob"', '"Cid"', '""']),
        ('("<" + name + ">").Substring(1, 0)', ['""'] * 4),
        ('("<" + name + ">").Substring(1)', ['"Ann>"', '"Bob>"', '"Cid>"', '">"']),
        ('name.StartsWith("A") || name.EndsWith("b")', ["True", "True", "False", "False"]),
        ('name.Contains("i")', ["False", "False", "True", "False"]),
        ('name.IndexOf("n")', ["1", "-1", "-1", "-1"]),
        ('(" \\t" + name + "\\u00a0").Trim()', ['"Ann"', '"Bob"', '"Cid"', '""']),
        ("string.IsNullOrEmpty(name)", ["False", "False", "False", "True"]),
        ("String.IsNullOrWhiteSpace(city)", ["False", "False", "True", "False"]),
        ("name.Trim().ToLower().Length + id", ["4", "5", "6", "4"]),
        ('"\\"q\\"\\\\ \\x41\\u00e9"', ['"""q""\\ Aé"'] * 4),
        ('@"a\\b""c"', ['"a\\b""c"'] * 4),
        ('"😀".Length', ["2"] * 4),
        ('int.Parse(" 4" + id)', ["41", "42", "43", "44"]),
        ("id.ToString()", ['"1"', '"2"', '"3"', '"4"']),
        # Sets and ranges
        ("id IN (1, 3)", ["True", "False", "True", "False"]),
        ("age IN (19, null)", ["False", "True", "True", "False"]),
        ("id BETWEEN 2 AND 3", ["False", "True", "True", "False"]),
        ("NOT id == 1 AND id < 4 OR id == 4", ["False", "True", "True", "True"]),
    ],
)
def test_expressions(expression: str, expected: list[str], tmp_path: Path) -> None:
    assert values(expression, tmp_path) == expected


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("@out = SELECT id FROM @people WHERE age == 31 AND score > 2;", ["4"]),
        ("@out = SELECT COUNT(*) AS n, COUNT(age) AS a, SUM(age) AS s, MIN(score) AS l FROM @people;", ["4,3,81,-2.5"]),
        ("@out = SELECT AVG(id) AS m, COUNT(DISTINCT city) AS c, MAX(age) AS a FROM @people;", ["2.5,2,31"]),
        (
            (
                "@g = SELECT city, COUNT(*) AS n, SUM(score) AS s FROM @people GROUP BY city HAVING COUNT(*) > 0;\n"
                "@out = SELECT n, s, city FROM @g WHERE n >= 2 OR city == null;"
            ),
            ["1,0,", '2,11.75,"Oslo"'],
        ),
        (
            (
                "@g = SELECT id % 2 AS odd, SUM(id) * 10 AS s FROM @people GROUP BY id % 2;\n"
                "@out = SELECT * FROM @g ORDER BY odd DESC FETCH 2 ROWS;"
            ),
            None,
        ),
        ("@o = SELECT id, score FROM @people ORDER BY score DESC FETCH 2 ROWS;@out = SELECT id FROM @o;", ["1", "4"]),
        (
            (
                "@o = SELECT id, age FROM @people ORDER BY age, id DESC OFFSET 1 ROWS FETCH NEXT 2 ROWS ONLY;"
                "@out = SELECT id FROM @o;"
            ),
            ["3", "4"],
        ),
        ("@out = SELECT DISTINCT age FROM @people;", ["", "19", "31"]),
        ("@out = SELECT id FROM @people WHERE id < 2 UNION ALL SELECT id FROM @people WHERE id < 3;", ["1", "1", "2"]),
        ("@out = SELECT age FROM @people UNION DISTINCT SELECT age FROM @people;", ["", "19", "31"]),
        (
            (
                "@p = SELECT * FROM @people WHERE city != null;\n"
                "@out = SELECT p.id, c.land FROM @p AS p INNER JOIN @cities AS c ON p.city == c.city;"
            ),
            ['1,"NO"', '2,"IT"', '4,"NO"'],
        ),
        (
            "@out = SELECT p.id, c.land FROM @people AS p LEFT OUTER JOIN @cities AS c ON p.city == c.city;",
            ['1,"NO"', '2,"IT"', "3,", '4,"NO"'],
        ),
        (
            "@out = SELECT c.land, p.id ?? 0 AS id FROM @people AS p RIGHT JOIN @cities AS c ON c.city == p.city;",
            ['"IT",2', '"NO",1', '"NO",4', '"PE",0'],
        ),
        (
            (
                "@out = SELECT p.id, c.land FROM @people AS p FULL OUTER JOIN @cities AS c ON p.city == c.city "
                "WHERE p.id == null || c.land == null;"
            ),
            [',"PE"', "3,"],
        ),
        (
            '@out = SELECT p.id, c.land FROM @people AS p CROSS JOIN @cities AS c WHERE id == 1 && land != "IT";',
            ['1,"NO"', '1,"PE"'],
        ),
        (
            (
                "@a = SELECT id, id + 1 AS next FROM @people;\n"
                "@out = SELECT a.id, b.id AS other FROM @a AS a JOIN @a AS b ON a.next == b.id AND a.id == a.id;"
            ),
            Refused,
        ),
        ("@out = SELECT s.x FROM (SELECT id * 2 AS x FROM @people WHERE id < 3) AS s WHERE s.x > 2;", ["4"]),
        ("@people = SELECT id FROM @people WHERE id == 2;@out = SELECT * FROM @people;", ["2"]),
        (
            '@out = SELECT p.*, 1 AS one FROM (SELECT id FROM @people) AS p CROSS JOIN @cities AS c WHERE id == 1 && c.land == "NO";',  # noqa: E501
            ["1,1"],
        ),
        ("DECLARE @least int = 1 + 2;\n@out = SELECT id FROM @people WHERE id >= @least;", ["3", "4"]),
        (
            'DECLARE CONST @x int? = null; DECLARE @y string = "a" + 1;\n@out = SELECT @x ?? 5 AS x, @y AS y FROM @people WHERE id == 1;',  # noqa: E501
            ['5,"a1"'],
        ),
        ("/* all */ @out = SELECT id // the key\nFROM @people WHERE id == 1;", ["1"]),
        ("@out = SELECT [id] AS [the id] FROM @people WHERE [id] == 1;", ["1"]),
    ],
)
def test_rowsets(script: str, expected: list[str] | type[Exception] | None, tmp_path: Path) -> None:
    if isinstance(expected, type):
        with pytest.raises(expected):
            rows(PEOPLE + CITIES + script, tmp_path)
        return
    found = rows(PEOPLE + CITIES + script, tmp_path)
    assert sorted(found) == sorted(expected or ["1,40", "0,60"])


READ = '@out = EXTRACT id int, name string, when DateTime?, ok bool, share double? FROM "in" USING Extractors.'
LINES = 'id,name,when,ok,share\n1,"a, ""b""",2020-02-29 12:30:00,true,0.5\n2,,,FALSE,\n3,"",2021-01-01,True,1e3\n'
FOUND = [
    '1,"a, ""b""",2020-02-29T12:30:00.0000000,True,0.5',
    "2,,,False,",
    '3,"",2021-01-01T00:00:00.0000000,True,1000',
]


@pytest.mark.parametrize(
    ("extractor", "content"),
    [
        ("Csv(skipFirstNRows: 1);", LINES.encode()),
        ("Csv(skipFirstNRows: 1, encoding: Encoding.UTF8, silent: false);", b"\xef\xbb\xbf" + LINES.encode()),
        ("Csv(skipFirstNRows: 1, encoding: Encoding.Unicode);", b"\xff\xfe" + LINES.encode("utf-16-le")),
        ("Csv(skipFirstNRows: 1, encoding: Encoding.BigEndianUnicode);", LINES.encode("utf-16-be")),
        ("Csv();", LINES.partition("\n")[2].encode()),
        ("Csv();", LINES.partition("\n")[2].replace("\n", "\r\n").encode()),
        ("Tsv(skipFirstNRows: 1);", LINES.replace(",", "\t").replace("a\t", "a,").encode()),
        ("Text(delimiter: '|', skipFirstNRows: 1);", LINES.replace(",", "|").replace("a|", "a,").encode()),
        ("Text('|', nullEscape: \"NULL\");", b"1|\"a, \"\"b\"\"\"|2020-02-29 12:30|true|.5\n2|NULL|NULL|false|\n3|\"\"|2021-01-01|true|1000\n"),  # noqa: E501
    ],
)  # fmt: skip
def test_extracting(extractor: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(content)
    assert rows(READ + extractor, tmp_path) == FOUND


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("1.5,a,,true,", "column id: 1.5 is no int"),
        (",a,,true,", "column id is null"),
        ("99999999999,a,,true,", "99999999999"),
        ("1,a,01/02/2020,true,", "is no DateTime"),
        ("1,a,,yes,", "yes is no bool"),
        ('1,a,,true,"1,5"', "1,5 is no double"),
        ("1,a,,true", "1,a"),
        ("1,a,,true,1,2", "1,a"),
    ],
)
def test_data_that_do_not_fit_fail(line: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "in").write_text(line + "\n")
    with pytest.raises(ScriptFailed) as caught:
        rows(READ + "Csv();", tmp_path)
    assert "line 1: " in str(caught.value)
    assert says in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("city.Length", "the object of Length is null"),
        ("age.Value", "the object of Value is null"),
        ("(int)age", "is null"),
        ("10 / (id - 1)", "ivision by zero"),
        ("2147483647 + id", "verflow"),
        ("name.Substring(0, 2)", "lies outside"),
        ('("é" + name).StartsWith("é")', "outside printable ASCII"),
        ('("ß" + name).ToUpper()', "outside Latin-1"),
        ('("😀" + name).Substring(1)', "beyond the basic plane"),
        ("int.Parse(name)", "is no int"),
        ('name.Replace("", "x")', "empty text"),
    ],
)
def test_what_would_throw_in_csharp_or_differ_fails(expression: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ScriptFailed, match=says):
        values(expression, tmp_path)


def test_what_would_throw_is_not_asked_of_rows_that_were_left_out(tmp_path: Path) -> None:
    """WHERE comes before SELECT, a rowset before those made of it, and the condition of ?: before what it chooses."""
    assert values("age.Value", tmp_path, where="WHERE age != null") == ["31", "19", "31"]
    assert values("100 / (id - 1)", tmp_path, where="WHERE id != 1") == ["100", "50", "33"]
    assert values("id == 1 ? -1 : 100 / (id - 1)", tmp_path) == ["-1", "100", "50", "33"]
    assert values("id == 1 || 100 / (id - 1) > 40", tmp_path) == ["True", "True", "True", "False"]
    script = """
        @known = SELECT id, age FROM @people WHERE age != null;
        @years = SELECT id, age.Value * 2 AS twice FROM @known;
        @out = SELECT SUM(twice) AS s FROM @years WHERE twice > 40;"""
    assert rows(PEOPLE + script, tmp_path) == ["124"]


def test_a_join_of_nulls_with_nulls_fails(tmp_path: Path) -> None:
    script = f"{PEOPLE}@out = SELECT a.id FROM @people AS a JOIN @people AS b ON a.city == b.city;"
    with pytest.raises(ScriptFailed, match="Both sides of the join have nulls"):
        rows(script, tmp_path)


def test_outputs_and_names(tmp_path: Path) -> None:
    script = (
        f'{PEOPLE}DECLARE @where string = "made/" + "x.tsv";\n'
        "@o = SELECT id, name, age == 31 AS aged, score FROM @people WHERE id < 3;\n"
        "OUTPUT @o TO @where ORDER BY name DESC USING Outputters.Tsv(outputHeader: true, quoting: false);\n"
        'OUTPUT @o TO "y" ORDER BY id USING Outputters.Text(delimiter: \';\', nullEscape: "-", encoding: Encoding.Unicode);\n'  # noqa: E501
        'OUTPUT @people TO "@@out@@" ORDER BY id DESC USING Outputters.Csv(nullEscape: "NULL");'
    )
    execute(script, tmp_path, {"out": "z"})
    assert (tmp_path / "made/x.tsv").read_bytes() == (
        b"id\tname\taged\tscore\r\n2\tBob\tFalse\t-2.5\r\n1\tAnn\tTrue\t1.5\r\n"
    )
    assert (tmp_path / "y").read_bytes().decode("utf-16-le") == '1;"Ann";True;1.5\r\n2;"Bob";False;-2.5\r\n'
    assert (tmp_path / "z").read_text().split("\n")[2] == '2,"Bob",NULL,"Rome",-2.5'
    with pytest.raises(ScriptFailed, match="needs quoting"):
        execute(
            '@o = SELECT * FROM (VALUES ("a,b")) AS t(x); OUTPUT @o TO "q" USING Outputters.Csv(quoting: false);',
            tmp_path,
        )


def test_a_script_as_they_were_written(tmp_path: Path) -> None:
    (tmp_path / "SearchLog.tsv").write_text(
        "399266\t2012-02-15 11:53:16\ten-us\thow to make nachos\t73\twww.nachos.com;www.wikipedia.com\tNULL\n"
        "382045\t2012-02-15 11:53:18\ten-gb\tbest ski resorts\t614\tskiresorts.com;ski-europe.com\tski-europe.com\n"
        "382046\t2012-02-16 11:53:20\ten-gb\tbroken leg\t74\tmayoclinic.com/health;webmd.com/a-to-z-guides\tmayo\n"
    )
    script = """
        DECLARE @in string = "SearchLog.tsv";
        @searchlog = EXTRACT UserId int, Start DateTime, Region string, Query string, Duration int?, Urls string,
                             ClickedUrls string
                     FROM @in USING Extractors.Tsv();
        @rs1 = SELECT Start, Region, Duration FROM @searchlog WHERE Region == "en-gb" && Start.Day >= 15;
        @rs2 = SELECT Region, SUM(Duration) AS TotalDuration, COUNT(*) AS Searches
               FROM @rs1 GROUP BY Region HAVING SUM(Duration) > 200;
        OUTPUT @rs2 TO @@output@@ ORDER BY TotalDuration DESC USING Outputters.Csv(outputHeader: true);
    """
    execute(script, tmp_path, {"output": '"totals.csv"'})
    assert (tmp_path / "totals.csv").read_text() == '"Region","TotalDuration","Searches"\n"en-gb",688,2\n'
