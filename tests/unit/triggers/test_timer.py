"""The functions that timers call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import azure.functions as func
import pytest

from orchestrator.secrets import ForgetOthers
from orchestrator.triggers import timer
from tests.unit.triggers.calling import Api

VAULT = {"MILLSTREAM_VAULT": "https://kv-x.vault.azure.net"}


def functions_of(api: Api) -> dict[str, Callable[..., Any]]:
    app = func.FunctionApp()
    app.register_functions(timer.blueprint(api.service))
    return {str(one.get_function_name()): one.get_user_function() for one in app.get_functions()}


def test_secrets_are_looked_after_where_there_is_a_vault() -> None:
    assert set(functions_of(Api(VAULT))) - set(functions_of(Api())) == {"forget_orphaned_secrets"}


def test_it_is_said_that_secrets_were_left_over(caplog: pytest.LogCaptureFixture) -> None:
    api = Api(VAULT)
    asked: list[ForgetOthers] = []

    def forget(effect: ForgetOthers) -> int:
        asked.append(effect)
        return 2

    api.world.register(ForgetOthers, forget)
    functions_of(api)["forget_orphaned_secrets"](None)
    assert [effect.needed for effect in asked] == [frozenset()]
    assert "2 secrets that no row named" in caplog.text
