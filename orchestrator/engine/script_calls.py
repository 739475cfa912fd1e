"""Whether the script behind a run token may still call: its attempt is being executed, and its run goes on."""

from __future__ import annotations

from orchestrator.core.run_token import RunToken
from orchestrator.core.states import ClaimState
from orchestrator.engine.cancel import is_over
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.rows import RUNS, claim_key, read_claim
from orchestrator.ports import Get, Task


def may_call(memory: ProcessMemory, token: RunToken) -> Task[bool]:
    """Two reads. False once the attempt has ended or was taken over, or the run has ended."""
    row = yield from Get(table=RUNS, pk=token.run, rk=claim_key(token.position))
    if row is None:
        return False
    claim = read_claim(row)
    if claim.owner != token.owner or claim.state is not ClaimState.RUNNING:
        return False
    return not (yield from is_over(memory, token.run))
