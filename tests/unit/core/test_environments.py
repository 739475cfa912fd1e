"""What a step asks to find installed: one spelling, conda's packages by the index's names, and a key."""

from __future__ import annotations

import msgspec
import pytest

from orchestrator.core.environments.conda import mapped
from orchestrator.core.environments.packages import FOR_DATASETS, Packages, packages_of
from orchestrator.core.environments.requirement import is_pinned, normalised, option, redacted
from orchestrator.core.environments.spec import EnvironmentSpec

PYTHON = "3.11.7"


def asked(*conda: str, pip: tuple[str, ...] = (), also: tuple[str, ...] = ()) -> Packages:
    return packages_of(conda, pip, python=PYTHON, also=also)


class TestRequirements:
    @pytest.mark.parametrize(
        ("text", "same"),
        [
            ("Scikit_Learn", "scikit-learn"),
            ("pandas >= 1 , < 2   # a comment", "pandas<2,>=1"),
            (
                "uvicorn [Standard,a] == 0.1; python_version < '3.9'",
                "uvicorn[a,standard]==0.1 ; python_version < '3.9'",
            ),
            ("c @ https://x.test/c.whl", "c @ https://x.test/c.whl"),
            ("a (>=1)", "a>=1"),
            ("a==1 \\\n  --hash=sha256:00", "a==1 --hash=sha256:00"),
        ],
    )
    def test_are_in_one_spelling(self, text: str, same: str) -> None:
        assert normalised(text) == same == normalised(same)

    @pytest.mark.parametrize(
        "text",
        ["", "./here", "a==", "a=1", "a b", "a @ file:///x", "a @ https://u:p@h/a.whl", "a" * 3000, "a>=1;;\x00["],
    )
    def test_that_cannot_be_met_are_refused_with_advice(self, text: str) -> None:
        if text == "a>=1;;\x00[":
            assert normalised(text)  # a marker is for uv to read
            return
        with pytest.raises(ValueError, match=r"\S"):
            normalised(text)

    def test_options_become_those_of_uv(self) -> None:
        assert option("-i https://x.test/simple") == ("--index-url", "https://x.test/simple")
        assert option("--extra-index-url=https://x.test") == ("--extra-index-url", "https://x.test")
        assert option("--pre") == ("--prerelease=allow",)
        assert option("--trusted-host x.test") == ()

    @pytest.mark.parametrize(
        ("line", "words"),
        [("--index-url https://me:hush@x.test", "credentials"), ("-r other.txt", "one by one"), ("-f ./dir", "URL")],
    )
    def test_options_that_reach_elsewhere_are_refused(self, line: str, words: str) -> None:
        with pytest.raises(ValueError, match=words):
            option(line)

    def test_one_version_each_is_pinned(self) -> None:
        assert is_pinned(["a==1", "b[c]==2.0 ; x == 'y'", "d==1 --hash=sha256:00"])
        assert not is_pinned(["a==1", "b"])
        assert not is_pinned(["a==1.*"])

    def test_credentials_are_not_shown(self) -> None:
        assert (
            redacted("at https://me:hush@x.test/simple, and ssh://git@y")
            == "at https://***@x.test/simple, and ssh://***@y"
        )


class TestConda:
    @pytest.mark.parametrize(
        ("spec", "requirement"),
        [
            ("numpy", "numpy"),
            ("numpy=1.18", "numpy==1.18.*"),
            ("numpy=1.18.*", "numpy==1.18.*"),
            ("numpy==1.18", "numpy==1.18"),
            ("numpy 1.18", "numpy==1.18"),
            ("numpy=1.18.1=py37_0", "numpy==1.18.1"),
            ("numpy >=1.2, <2", "numpy<2,>=1.2"),
            ("numpy=*", "numpy"),
            ("pytorch::pytorch=1.4", "torch==1.4.*"),
            ("tensorflow-gpu", "tensorflow"),
            ("py-xgboost", "xgboost"),
        ],
    )
    def test_a_package_is_one_of_the_index(self, spec: str, requirement: str) -> None:
        found = mapped([spec], PYTHON)
        assert found.requirements == (requirement,)
        assert bool(found.notes) == (spec != requirement)

    @pytest.mark.parametrize("spec", ["cudatoolkit=10.1", "gcc_linux-64", "openssl", "r-base", "_libgcc_mutex"])
    def test_what_is_no_python_package_is_left_out_and_said(self, spec: str) -> None:
        found = mapped([spec], PYTHON)
        assert found.requirements == ()
        assert spec in found.notes[0]

    @pytest.mark.parametrize(
        ("spec", "notes"), [("python=3.8", 1), ("python=3.11", 0), ("python", 0), ("python=3.1", 1)]
    )
    def test_the_python_is_the_worker_s(self, spec: str, notes: int) -> None:
        assert len(mapped([spec], PYTHON).notes) == notes

    @pytest.mark.parametrize("spec", ["numpy=1.1|1.2", "numpy[version='>1']", "-x", ""])
    def test_what_is_not_understood_is_refused(self, spec: str) -> None:
        with pytest.raises(ValueError, match=r"\S"):
            mapped([spec], PYTHON)


class TestPackages:
    def test_order_spelling_and_name_do_not_count(self) -> None:
        one, other = asked("numpy", pip=("b", "A >=1")), asked(pip=("a>=1", "B", "NumPy"))
        assert one.key(["x"]) == other.key(["x"])

    def test_whatever_decides_counts(self) -> None:
        keys = {
            asked("numpy").key(["x"]),
            asked("numpy==2").key(["x"]),
            asked("numpy", pip=("--pre",)).key(["x"]),
            asked("numpy").key(["y"]),
            asked("numpy").key(["x"], ["msgspec==1"]),
        }
        assert len(keys) == 5

    def test_the_sdk_is_there_already(self) -> None:
        assert asked(pip=("azureml-defaults", "azureml-core==1.2")).own
        found = asked("scikit-learn", pip=("azureml-defaults", "azureml-widgets"))
        assert found.requirements == ("pandas", "pyarrow", "scikit-learn")
        assert len(found.notes) == 2

    def test_what_the_step_itself_needs_comes_with_them(self) -> None:
        found = asked("toolz", pip=("pandas==3.1",), also=FOR_DATASETS)
        assert found.requirements == ("pandas==3.1", "pyarrow", "toolz")
        assert asked(also=FOR_DATASETS).own


class TestSpec:
    def problems(self, **conda: object) -> list[str]:
        spec = msgspec.convert({"conda": conda}, EnvironmentSpec)
        return [str(problem) for problem in spec.problems("settings.environment")]

    def test_a_conda_file_is_in_order(self) -> None:
        assert (
            self.problems(name="x", channels=["c"], dependencies=["python=3.8", {"pip": ["pandas==1", "--pre"]}]) == []
        )

    @pytest.mark.parametrize(
        ("dependencies", "words"),
        [
            (["numpy=1|2"], "choice"),
            ([{"pip": ["-r x.txt"]}], "one by one"),
            ([{"conda": ["a"]}], "no section"),
            (["a"] * 1001, "1,001"),
        ],
    )
    def test_what_is_wrong_is_said(self, dependencies: list[object], words: str) -> None:
        (problem,) = self.problems(dependencies=dependencies)
        assert words in problem
        assert problem.startswith("settings.environment.conda")

    def test_a_password_is_not_shown(self) -> None:
        (problem,) = self.problems(dependencies=[{"pip": ["--index-url https://me:hush@x.test"]}])
        assert "hush" not in problem

    def test_packages_of_r_have_names(self) -> None:
        spec = msgspec.convert({"r": {"names": ["dplyr", "data.table", "--evil", "a b"]}}, EnvironmentSpec)
        assert [problem.field for problem in spec.problems("e")] == ["e.r.names"] * 2
