"""What the extractors and outputters are told."""

from __future__ import annotations

from typing import Final

from steps.usql import tree
from steps.usql.program import Layout
from steps.usql.refusal import Refused

DELIMITERS: Final = {"Csv": ",", "Tsv": "\t", "Text": ","}
ENCODINGS: Final = {
    "UTF8": "utf-8",
    "ASCII": "ascii",
    "Unicode": "utf-16-le",
    "BigEndianUnicode": "utf-16-be",
    "UTF32": "utf-32-le",
}
_READ: Final[tuple[str, ...]] = ("encoding", "nullEscape", "quoting", "silent", "skipFirstNRows")
_WRITTEN: Final[tuple[str, ...]] = ("encoding", "nullEscape", "outputHeader", "quoting")


def layout(given: tree.Format, family: str) -> Layout:
    """Raises Refused."""
    if given.family != family or given.name not in DELIMITERS:
        known = ", ".join(f"{family}.{name}" for name in DELIMITERS)
        raise Refused(f"{given.family}.{given.name} is not in the subset; there are {known}.", given.at)
    options = _READ if family == "Extractors" else _WRITTEN
    if given.name == "Text":
        options = ("delimiter", *options)
    values: dict[str, tree.Argument] = {}
    for number, argument in enumerate(given.arguments):
        name = argument.name or ("delimiter" if number == 0 and given.name == "Text" else "")
        if name not in options or name in values:
            shown = name or "An argument without a name"
            raise Refused(f"{shown} is not in the subset here; there are {', '.join(options)}.", argument.at)
        values[name] = argument
    if "silent" in values and _flag(values["silent"]):
        raise Refused("silent: true is not in the subset: what would be left out without a word is an error.", given.at)
    return Layout(
        delimiter=_character(values["delimiter"]) if "delimiter" in values else DELIMITERS[given.name],
        encoding=_encoding(values["encoding"]) if "encoding" in values else "utf-8",
        quoting=_flag(values["quoting"]) if "quoting" in values else True,
        skip=_count(values["skipFirstNRows"]) if "skipFirstNRows" in values else 0,
        header=_flag(values["outputHeader"]) if "outputHeader" in values else False,
        null=_text(values["nullEscape"]) if "nullEscape" in values else "",
    )


def _flag(argument: tree.Argument) -> bool:
    if isinstance(argument.value, tree.Literal) and isinstance(argument.value.value, bool):
        return argument.value.value
    raise Refused("true or false is expected here.", argument.value.at)


def _count(argument: tree.Argument) -> int:
    value = argument.value
    if isinstance(value, tree.Literal) and value.type == "int" and isinstance(value.value, int):
        return value.value
    raise Refused("A whole number is expected here.", argument.value.at)


def _text(argument: tree.Argument) -> str:
    value = argument.value
    if isinstance(value, tree.Literal) and isinstance(value.value, str):
        return value.value
    raise Refused("A text is expected here.", argument.value.at)


def _character(argument: tree.Argument) -> str:
    text = _text(argument)
    if len(text) != 1 or text in '"\r\n' or not text.isascii():
        raise Refused("One character of ASCII is expected here, no quote and no line break.", argument.value.at)
    return text


def _encoding(argument: tree.Argument) -> str:
    value = argument.value
    if (
        isinstance(value, tree.Member)
        and value.arguments is None
        and isinstance(value.of, tree.Name)
        and (value.of.name, value.name in ENCODINGS) == ("Encoding", True)
    ):
        return ENCODINGS[value.name]
    raise Refused(f"One of {', '.join(f'Encoding.{name}' for name in ENCODINGS)} is expected here.", value.at)
