"""A line of a requirements file: what it asks for, in one spelling."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

LONGEST: Final = 2000
_NAME: Final = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_LINE: Final = re.compile(rf"(?P<name>{_NAME})\s*(?:\[(?P<extras>[\w\s.,-]*)\])?\s*(?P<rest>.*)", re.ASCII)
_CLAUSE: Final = re.compile(r"(~=|===|==|!=|<=|>=|<|>)\s*([\w.*+!-]+)", re.ASCII)
_HASH: Final = re.compile(r"\s--hash[=\s]\s*(\w+:[0-9a-f]+)")
_URL: Final = re.compile(r"https?://[^\s]+|git\+https?://[^\s]+")
_CREDENTIALS: Final = re.compile(r"([A-Za-z][\w+.-]*://)[^\s/@]+@")
FLAGS: Final = {
    "--index-url": "--index-url",
    "-i": "--index-url",
    "--extra-index-url": "--extra-index-url",
    "--find-links": "--find-links",
    "-f": "--find-links",
    "--pre": "--prerelease=allow",
    "--no-index": "--no-index",
}
"""Options of pip that are kept, and what uv calls them."""
_WITHOUT_VALUE: Final = ("--pre", "--no-index")
_ADVICE: Final = "Write it as name, name==1.2, name[extra]>=1,<2 or name @ https://... ."
_OF_FILES: Final = ("-r", "--requirement", "-c", "--constraint", "-e", "--editable")


def normalised(text: str) -> str:
    """The requirement in one spelling: `Name [B,a] >= 1` is `name[a,b]>=1`. Raises ValueError with what to do."""
    line, hashes = _without_hashes(_uncommented(text))
    if len(line) > LONGEST:
        raise ValueError(f"Use at most {LONGEST} characters.")
    requirement, _, marker = line.partition(";") if " @ " not in line else line.partition(" ;")
    match = _LINE.fullmatch(requirement.strip())
    if match is None:
        raise ValueError(_ADVICE)
    extras = ",".join(sorted({canonical(extra) for extra in (match["extras"] or "").split(",") if extra.strip()}))
    made = canonical(match["name"]) + (f"[{extras}]" if extras else "") + _rest(match["rest"].strip())
    made += f" ; {' '.join(marker.split())}" if marker.strip() else ""
    return " ".join([made, *(f"--hash={sum_}" for sum_ in hashes)])


def _rest(rest: str) -> str:
    if rest.startswith("@"):
        url = rest[1:].strip()
        if not _URL.fullmatch(url):
            raise ValueError("After @ comes a URL of https. Files of the source folder cannot be installed.")
        if hides_credentials(url):
            raise ValueError("Leave the credentials out of the URL: the worker's own configuration has them.")
        return f" @ {url}"
    clauses = [part.strip() for part in rest.strip("()").split(",") if part.strip()]
    found = [_CLAUSE.fullmatch(clause) for clause in clauses]
    if not all(found):
        raise ValueError(_ADVICE)
    return ",".join(sorted(f"{match[1]}{match[2]}" for match in found if match))


def option(text: str) -> tuple[str, ...]:
    """The arguments of uv for an option of pip; none for one that means nothing here. Raises ValueError."""
    name, _, value = re.sub(r"[=\s]+", " ", _uncommented(text), count=1).partition(" ")
    value = value.strip()
    if name in _OF_FILES or name.startswith("-e"):
        raise ValueError("Files are not at hand where the environment is built: name the packages one by one.")
    if name not in FLAGS:
        return ()
    if name in _WITHOUT_VALUE:
        return (FLAGS[name],)
    if hides_credentials(value):
        raise ValueError("Leave the credentials out of the URL: the worker's own configuration has them.")
    if not re.fullmatch(r"https?://\S+", value):
        raise ValueError("Give a URL of http or https.")
    return (FLAGS[name], value)


def canonical(name: str) -> str:
    """A package's name as indexes compare names."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def name_of(requirement: str) -> str:
    """The name in a normalised requirement."""
    match = _LINE.match(requirement)
    return "" if match is None else match["name"]


def is_pinned(requirements: Iterable[str]) -> bool:
    """Whether each of them leaves one version only."""
    return all(
        re.fullmatch(rf"{_NAME}(\[[^\]]*\])?==[\w.+!-]+( ;.*)?( --hash=\S+)*", requirement)
        for requirement in requirements
    )


def hides_credentials(text: str) -> bool:
    """Whether a URL in the text has a user or a password."""
    return _CREDENTIALS.search(text) is not None


def redacted(text: str) -> str:
    """The text without the users and passwords of its URLs."""
    return _CREDENTIALS.sub(r"\1***@", text)


def _uncommented(text: str) -> str:
    return re.sub(r"(^|\s)#.*$", "", text.replace("\\\n", " ")).rstrip("\\").strip()


def _without_hashes(line: str) -> tuple[str, list[str]]:
    return _HASH.sub("", line), sorted(_HASH.findall(line))
