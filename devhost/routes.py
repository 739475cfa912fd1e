"""HTTP route templates, in the dialect of ASP.NET: ``orders/{id:int}/{part?}/{*rest}``.

Matching ignores case; the first function that matches wins, in the order of the app.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from devhost.errors import ConfigError

_PARAMETER = re.compile(
    r"\{(\*{0,2})([A-Za-z_][\w-]*)"  # name
    r"((?::[A-Za-z]+(?:\((?:[^{}]|\{\{|\}\})*?\))?)*)"  # constraints; a regex in one doubles its braces
    r"(?:=([^{}?]*))?(\?)?\}"  # default, or optional
)
_CONSTRAINT = re.compile(r":([a-z]+)(?:\((.*?)\))?(?=:|$)", re.IGNORECASE)
_GUID = re.compile(r"^\{?[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\}?$", re.IGNORECASE)
_NUMBER = re.compile(r"^[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?$", re.IGNORECASE)
_DATE = re.compile(r"^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2})?)?$")

Check = Callable[[str], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A compiled template. ``groups`` maps regex groups to parameter names."""

    pattern: re.Pattern[str]
    groups: tuple[str, ...]
    defaults: dict[str, str]
    checks: tuple[tuple[str, Check], ...]

    def match(self, path: str) -> dict[str, str] | None:
        """The parameters of a raw (percent-encoded) path, or None. Missing optional ones are absent."""
        found = self.pattern.match(path.strip("/"))
        if found is None:
            return None
        values = {
            name: _decode(text)
            for number, name in enumerate(self.groups)
            if (text := found[f"g{number}"]) is not None and text != ""
        }
        if not all(check(values[name]) for name, check in self.checks if name in values):
            return None
        return {**self.defaults, **values}


def compile_route(template: str) -> Route:
    """Compile a template (prefix included).

    Raises:
        ConfigError: the template is not well formed, or names an unknown constraint.
    """
    groups: list[str] = []
    defaults: dict[str, str] = {}
    checks: list[tuple[str, Check]] = []
    pattern = ""
    segments = _split(template.strip("/"))
    for position, segment in enumerate(segments):
        regex, optional, rest = _segment(segment, template, groups, defaults, checks)
        if rest and position != len(segments) - 1:
            raise ConfigError(f"route {template!r}: a catch-all parameter must be the last segment")
        slash = "/" if position else ""
        pattern += f"(?:{slash}{regex})?" if optional else f"{slash}{regex}"
    return Route(
        pattern=re.compile(f"^{pattern}$", re.IGNORECASE | re.DOTALL),
        groups=tuple(groups),
        defaults=defaults,
        checks=tuple(checks),
    )


def _split(template: str) -> list[str]:
    """Split at the slashes outside of braces (a regex constraint may hold one)."""
    parts, depth, current = [], 0, ""
    for char in template:
        depth += (char == "{") - (char == "}")
        if char == "/" and depth == 0:
            parts.append(current)
            current = ""
        else:
            current += char
    if depth:
        raise ConfigError(f"route {template!r}: braces do not balance")
    return [*parts, current] if template else []


def _segment(
    segment: str, template: str, groups: list[str], defaults: dict[str, str], checks: list[tuple[str, Check]]
) -> tuple[str, bool, bool]:
    """The regex of one segment, whether it may be missing, and whether it takes all that follows."""
    regex, position, optional, rest = "", 0, False, False
    matches = list(_PARAMETER.finditer(segment))
    for match in matches:
        stars, name, constraints, default, question = match.groups()
        if name in groups:
            raise ConfigError(f"route {template!r}: parameter {name!r} appears twice")
        literal = segment[position : match.start()]
        whole = len(matches) == 1 and match[0] == segment
        rest = bool(stars)
        optional = whole and (rest or bool(question) or default is not None)
        group = f"(?P<g{len(groups)}>{'.*' if rest else '[^/]+' if whole else '[^/]+?'})"
        # "{name}.{ext?}": the separator goes with the optional last part.
        dotted = not whole and bool(question) and literal.endswith(".")
        regex += re.escape(literal[:-1]) + rf"(?:\.{group})?" if dotted else re.escape(literal) + group
        groups.append(name)
        if default is not None:
            defaults[name] = default
        checks.extend((name, check) for check in _constraints(constraints, template))
        position = match.end()
    tail = segment[position:]
    if "{" in tail or "}" in tail:
        raise ConfigError(f"route {template!r}: cannot read segment {segment!r}")
    return regex + re.escape(tail), optional, rest


def _constraints(text: str, template: str) -> Iterable[Check]:
    for match in _CONSTRAINT.finditer(text):
        name, argument = match[1].lower(), match[2] or ""
        try:
            yield _CONSTRAINTS[name](argument)
        except KeyError:
            raise ConfigError(f"route {template!r}: unknown constraint {name!r}") from None
        except (ValueError, re.error) as error:
            raise ConfigError(f"route {template!r}: constraint {match[0][1:]!r}: {error}") from None


def _integer(text: str, bits: int) -> bool:
    return re.fullmatch(r"[+-]?\d+", text) is not None and -(2 ** (bits - 1)) <= int(text) < 2 ** (bits - 1)


def _whole(text: str) -> int | None:
    return int(text) if _integer(text, 64) else None


def _between(low: int | None, high: int | None) -> Check:
    def check(text: str) -> bool:
        value = _whole(text)
        return value is not None and (low is None or value >= low) and (high is None or value <= high)

    return check


def _length(argument: str) -> Check:
    low, _, high = argument.partition(",")
    least, most = int(low), int(high or low)
    return lambda text: least <= len(text) <= most


def _range(argument: str) -> Check:
    low, _, high = argument.partition(",")
    return _between(int(low), int(high))


def _minimum_length(argument: str) -> Check:
    least = int(argument)
    return lambda text: len(text) >= least


def _maximum_length(argument: str) -> Check:
    most = int(argument)
    return lambda text: len(text) <= most


def _regex(argument: str) -> Check:
    pattern = re.compile(argument.replace("{{", "{").replace("}}", "}"), re.IGNORECASE)
    return lambda text: pattern.search(text) is not None


def _always(check: Check) -> Callable[[str], Check]:
    return lambda _argument: check


_CONSTRAINTS: dict[str, Callable[[str], Check]] = {
    "int": _always(lambda text: _integer(text, 32)),
    "long": _always(lambda text: _integer(text, 64)),
    "bool": _always(lambda text: text.lower() in ("true", "false")),
    "alpha": _always(lambda text: re.fullmatch("[A-Za-z]*", text) is not None),
    "guid": _always(lambda text: _GUID.match(text) is not None),
    "datetime": _always(lambda text: _DATE.match(text) is not None),
    "decimal": _always(lambda text: _NUMBER.match(text) is not None),
    "double": _always(lambda text: _NUMBER.match(text) is not None),
    "float": _always(lambda text: _NUMBER.match(text) is not None),
    "required": _always(bool),
    "length": _length,
    "minlength": _minimum_length,
    "maxlength": _maximum_length,
    "min": lambda argument: _between(int(argument), None),
    "max": lambda argument: _between(None, int(argument)),
    "range": _range,
    "regex": _regex,
}


def _decode(text: str) -> str:
    """Percent-decode, but keep an encoded slash as it is: ASP.NET does, so it cannot look like a separator."""
    return unquote(re.sub("%2f", "%252F", text, flags=re.IGNORECASE))
