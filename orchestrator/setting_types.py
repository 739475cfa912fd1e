"""The types that settings have, and how each is read from text. A parser raises ValueError with words of its own."""

from __future__ import annotations

import base64
import binascii
import difflib
import json
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from orchestrator.core.compute import Compute, configured
from orchestrator.core.errors import InvalidRequest, MillstreamError
from orchestrator.core.names import DATA_PATH, DATASTORE
from orchestrator.core.prices import PriceList
from orchestrator.core.prices import parse as parse_prices
from orchestrator.core.run_token import SHORTEST_KEY
from orchestrator.core.secret import Secret

PREFIX = "MILLSTREAM_"


class InvalidSetting(MillstreamError):
    """A setting is missing or does not parse; `field` is its name. The service does not start."""

    code = "InvalidSetting"


def text(value: str) -> str:
    if not value.strip():
        raise ValueError("it is empty")
    return value.strip()


def secret(value: str) -> Secret:
    return Secret(text(value))


def guid(value: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", value.strip()):
        raise ValueError("it must be an id such as 11111111-2222-3333-4444-555555555555")
    return value.strip().lower()


def signing_key(value: str) -> Secret:
    if len(value.strip()) < SHORTEST_KEY:
        raise ValueError(f"it must have {SHORTEST_KEY} characters or more")
    return Secret(value.strip())


def keys(value: str) -> tuple[Secret, ...]:
    parts = tuple(part.strip() for part in value.split(",") if part.strip())
    if not parts or not all(_is_key(part) for part in parts):
        raise ValueError("it must be one or more keys of 32 bytes in base64, separated by commas")
    return tuple(map(Secret, parts))


def _is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == 32
    except (binascii.Error, ValueError):
        return False


def seconds(value: str) -> float:
    return _above_0(value, "it must be a number of seconds above 0")


def number(value: str) -> float:
    return _above_0(value, "it must be a number above 0")


def _above_0(value: str, wrong: str) -> float:
    if not re.fullmatch(r"\d{1,9}(\.\d{1,9})?", value) or not float(value):
        raise ValueError(wrong)
    return float(value)


def rate(value: str) -> float:
    if not re.fullmatch(r"\d{1,9}(\.\d{1,9})?", value):
        raise ValueError("it must be a number of times a second; 0 for no limit")
    return float(value)


def count(value: str) -> int:
    if not re.fullmatch(r"[1-9]\d{0,14}", value):
        raise ValueError("it must be a whole number above 0")
    return int(value)


def price_list(value: str) -> PriceList:
    try:
        return parse_prices(value)
    except InvalidRequest as error:
        raise ValueError(error.message) from None


def flag(value: str) -> bool:
    known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    try:
        return known[value.strip().lower()]
    except KeyError:
        raise ValueError('it must be "true" or "false"') from None


def digests(value: str) -> tuple[str, ...]:
    digests = tuple(part.strip().lower() for part in value.split(",") if part.strip())
    if not digests or not all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests):
        raise ValueError("it must be one or more sha256 sums of 64 hex digits, separated by commas")
    return digests


def queue_name(value: str) -> str:
    # 63 less "-poison": the host gives longer queues no poison queue.
    if not re.fullmatch("[a-z0-9](-?[a-z0-9]){2,55}", value):
        raise ValueError("a queue name has 3 to 56 lower-case letters, digits and single hyphens between them")
    return value


def step_queue_name(value: str) -> str:
    # Beside it there are "-urgent" and its poison queue.
    if not re.fullmatch("[a-z0-9](-?[a-z0-9]){2,48}", value) or len(value) > 49:
        raise ValueError("a queue name has 3 to 49 lower-case letters, digits and single hyphens between them")
    return value


def blob_events(value: str) -> str:
    if value not in ("polling", "eventgrid", "none"):
        raise ValueError('it must be "polling", "eventgrid" or "none"')
    return value


def places(value: str) -> tuple[str, ...]:
    found = tuple(part.strip().strip("/") for part in value.split(",") if part.strip())
    for place in found:
        name, _, folder = place.partition("/")
        if not DATASTORE.allows(name) or not DATA_PATH.allows(folder) or set(folder) & set("{}%"):
            raise ValueError(f"{place!r} is not a datastore, or a folder of one as in workspaceblobstore/incoming")
    return found


def container_name(value: str) -> str:
    if not (3 <= len(value) <= 63 and re.fullmatch("[a-z0-9](-?[a-z0-9])*", value)):
        raise ValueError(f"{value!r} is not a container: 3 to 63 lower-case letters, digits and single hyphens")
    return value


def url(value: str) -> str:
    if not re.fullmatch(r"https?://[A-Za-z0-9.\-\[\]:]+(/[A-Za-z0-9._~/-]*)?", value):
        raise ValueError("it must be an http or https URL without query")
    return value.rstrip("/")


def role(value: str) -> str:
    if value not in ("Reader", "Submitter", "Operator", "Owner"):
        raise ValueError('it must be "Reader", "Submitter", "Operator" or "Owner"')
    return value


def secure_url(value: str) -> str:
    if not value.startswith("https://"):
        raise ValueError("it must be an https URL")
    return url(value)


def text_map(value: str) -> dict[str, str]:
    parsed = json.loads(value)
    if not isinstance(parsed, dict) or not parsed or not all(isinstance(item, str) for item in parsed.values()):
        raise ValueError('it must be a JSON object of texts with at least one entry, as {"name": "value"}')
    _check_names(parsed)
    return parsed


def _check_names(names: Iterable[str]) -> None:
    for name in names:
        if not DATASTORE.allows(name):
            raise ValueError(f"{name!r} is not a name: use letters, digits, - and _")


def computes(value: str) -> dict[str, Compute]:
    parsed = json.loads(value)
    if not isinstance(parsed, dict) or not parsed or not all(isinstance(it, str | dict) for it in parsed.values()):
        raise ValueError('it must be a JSON object with at least one entry, as {"name": "container"}')
    _check_names(parsed)
    return configured(parsed)


def words(value: str) -> tuple[str, ...]:
    """As a shell would split them; no shell sees them."""
    try:
        return tuple(shlex.split(value))
    except ValueError:
        raise ValueError("its quotes do not match") from None


def executions(value: str) -> str:
    if value not in ("none", "local", "events", "container-apps"):
        raise ValueError('it must be "none", "local", "events" or "container-apps"')
    return value


def log_form(value: str) -> str:
    if value not in ("text", "json"):
        raise ValueError('it must be "text" or "json"')
    return value


def containers(value: str) -> dict[str, str]:
    return {name: container_name(container) for name, container in text_map(value).items()}


def secrets(value: str) -> tuple[Secret, ...]:
    """Separated by commas."""
    given = tuple(part.strip() for part in value.split(",") if part.strip())
    if not given or any(len(part) < 32 for part in given):
        raise ValueError("each key must have at least 32 characters")
    return tuple(Secret(part) for part in given)


def delays(value: str) -> tuple[float, ...]:
    """Seconds, separated by commas."""
    found = tuple(seconds(part.strip()) for part in value.split(","))
    if len(found) > 50 or max(found) > 500_000:
        raise ValueError("give at most 50 times, each at most 500000 s")
    return found


def parsed(variable: str, parse: Callable[[str], Any], text: str) -> Any:
    """What the text of a setting means. Raises InvalidSetting, which does not show it."""
    try:
        return parse(text)
    except ValueError as error:
        # Only reasons written here are shown: a parser's own might quote a secret.
        reason = "it is not JSON" if isinstance(error, json.JSONDecodeError) else error
        raise InvalidSetting(f"The setting {variable} is not valid: {reason}.", field=variable) from None


def refuse_slips(environment: Mapping[str, str], known: Mapping[str, Any]) -> None:
    """A name close to a setting's is a slip. Other MILLSTREAM_ names belong to other parts, such as the client."""
    for name in environment:
        if name.startswith(PREFIX) and name not in known:
            unitless = [f"{name}{unit}" for unit in ("_SECONDS", "_BYTES") if f"{name}{unit}" in known]
            if near := unitless or difflib.get_close_matches(name, known, n=1, cutoff=0.9):
                raise InvalidSetting(f"There is no setting {name}. Did you mean {near[0]}?", field=name)
