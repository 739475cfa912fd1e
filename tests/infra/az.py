#!/usr/bin/env python3
"""A stand-in for the Azure CLI: records every call, and answers as Azure would for what the scripts of infra/ ask.

Its folder, MILLSTREAM_AZ, holds `calls` (one JSON list a line), `cloud.json` (what exists), and `fail`: text of the
calls that are to fail. It is started some twenty times a deployment, so it imports no more than it must.
"""

from __future__ import annotations

import json
import os
import sys

TYPE_CHECKING = False  # typing and its like cost more than the answer
if TYPE_CHECKING:
    from collections.abc import Callable

PLACE = os.environ["MILLSTREAM_AZ"]
VAULT = "/subscriptions/s/resourceGroups/{group}/providers/Microsoft.KeyVault/vaults/kv-x"


def main(arguments: list[str]) -> int:
    """Answer one call."""
    with open(f"{PLACE}/calls", "a") as calls:
        calls.write(json.dumps(arguments) + "\n")
    line = " ".join(arguments)
    if os.path.exists(f"{PLACE}/fail") and read("fail") in line:
        print(f"ERROR: (Refused) {line[:60]}", file=sys.stderr)
        return 1
    for words, answer in ANSWERS.items():
        if line.startswith(words):
            return answer(arguments)
    print(f"az: {line!r} is none of the calls this stand-in knows", file=sys.stderr)
    return 2


def read(name: str) -> str:
    with open(f"{PLACE}/{name}") as file:
        return file.read()


def cloud() -> dict[str, object]:
    """What exists."""
    found: dict[str, object] = json.loads(read("cloud.json"))
    return found


def change(**what: object) -> None:
    after = json.dumps(cloud() | what)
    with open(f"{PLACE}/cloud.json", "w") as file:
        file.write(after)


def option(arguments: list[str], name: str) -> str:
    return arguments[arguments.index(name) + 1]


def said(text: object) -> int:
    if text:
        print(text)
    return 0


def when(found: bool) -> int:
    return 0 if found else 3


def group_exists(_: list[str]) -> int:
    return said("true" if cloud()["group"] else "false")


def group_delete(_: list[str]) -> int:
    change(group=False, keys=False, deleted_vault=True, functions_after=2)
    return 0


def deployment(arguments: list[str]) -> int:
    given = dict(a.split("=", 1) for a in arguments if "=" in a and not a.startswith("-"))
    if given.get("createKeys") == "true" and cloud()["keys"]:
        change(keys_made_again=True)
    change(group=True, keys=True, deployed=True, registry=given.get("containers") == "true")
    return 0


def shown(arguments: list[str]) -> int:
    if not cloud()["deployed"]:
        return 3
    name = option(arguments, "--query").split(".")[2] if "--query" in arguments else ""
    return said(cloud()["outputs"][name] if name else "")  # type: ignore[index]


def image_shown(arguments: list[str]) -> int:
    return when(option(arguments, "--image") in cloud()["images"])  # type: ignore[operator]


def image_built(arguments: list[str]) -> int:
    change(images=[*cloud()["images"], option(arguments, "--image")])  # type: ignore[misc]
    return 0


def functions(_: list[str]) -> int:
    """The host needs a while until it knows the functions of new code."""
    left = int(str(cloud()["functions_after"]))
    change(functions_after=max(0, left - 1))
    names = ["deliver", *cloud()["functions"]] if left == 0 else ["deliver"]  # type: ignore[misc]
    return said("\n".join(f"func-x/{name}" for name in names))


def vault(arguments: list[str]) -> int:
    return said(VAULT.format(group=option(arguments, "--resource-group")) if cloud()["keys"] else "")


ANSWERS: dict[str, Callable[[list[str]], int]] = {
    "account show": lambda _: when(bool(cloud()["signed_in"])),
    "ad signed-in-user show": lambda _: said("11111111-2222-3333-4444-555555555555"),
    "group exists": group_exists,
    "group show": lambda _: said(cloud()["owner"]),
    "group delete": group_delete,
    "keyvault list-deleted": lambda _: said("kv-x" if cloud()["deleted_vault"] else ""),
    "keyvault list": vault,
    "rest --method get": lambda _: when(bool(cloud()["keys"])),
    "acr list": lambda _: said("crx.azurecr.io" if cloud()["registry"] else ""),
    "acr repository show": image_shown,
    "acr build": image_built,
    "deployment sub create": deployment,
    "deployment sub what-if": lambda _: said("~ Microsoft.Web/sites/func-x"),
    "deployment sub show": shown,
    "deployment sub delete": lambda _: 0,
    "deployment group create": lambda _: 0,
    "functionapp deployment source config-zip": lambda _: 0,
    "functionapp function list": functions,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
