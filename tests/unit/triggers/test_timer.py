"""The functions that timers call."""

from __future__ import annotations

import pytest

from orchestrator.secrets import ForgetOthers
from orchestrator.triggers import timer
from tests.unit.triggers.calling import Api

VAULT = {"MILLSTREAM_VAULT": "https://kv-x.vault.azure.net"}


def functions_of(api: Api) -> dict[str, object]:
    made = timer.blueprint(api.service)._function_builders
    return {builder._function.get_function_name(): builder._function.get_user_function() for builder in made}


def test_secrets_are_looked_after_where_there_is_a_vault() -> None:
    assert set(functions_of(Api(VAULT))) - set(functions_of(Api())) == {"forget_orphaned_secrets"}


def test_it_is_said_that_secrets_were_left_over(caplog: pytest.LogCaptureFixture) -> None:
    api = Api(VAULT)
    asked: list[ForgetOthers] = []
    api.world.register(ForgetOthers, lambda effect: (asked.append(effect), 2)[1])
    call = functions_of(api)["forget_orphaned_secrets"]
    assert callable(call)
    call(None)
    assert [effect.needed for effect in asked] == [frozenset()]
    assert "2 secrets that no row named" in caplog.text
