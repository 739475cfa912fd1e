"""What executions of steps have used, counted: the facts that a price is made of. Nothing in here is estimated.

The facts of a step are committed in its claim, with the result that they were used for, and survive as that does. Of an
execution that was killed nothing is known; the claim knows that there was one, and so it is counted as `unknown`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from orchestrator.core.claim import ClaimRow
from orchestrator.core.compute import ComputeKind
from orchestrator.core.result import StepResult
from orchestrator.core.states import ClaimState

BILLED: Final = (
    "table_write",
    "table_read",
    "queue",
    "blob_write",
    "blob_read",
    "blob_list",
    "blob_other",
    "blob_delete",
    "file_write",
    "file_read",
    "file_list",
    "file_other",
    "file_delete",
)
"""The classes of requests to storage that have a price each."""

BY_HOST: Final[Mapping[str, int]] = {"queue": 3}
"""What drives one execution, and is not counted but known: its message is put, received and deleted."""
BY_COMMIT: Final[Mapping[str, int]] = {"table_write": 1}
"""What the facts themselves are written with. Steps that end together share it, which makes it less."""
BY_PUBLISHING: Final[Mapping[str, int]] = {"table_write": 1}
"""To tell later runs of a result that they may reuse."""


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What a process that runs steps is billed by. `memory_gib` of it all; `cpu` in virtual CPUs, of a container."""

    kind: ComputeKind = ComputeKind.FUNCTION
    memory_gib: float = 2.0
    cpu: float = 0.0


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What `executions` have used; of `unknown` more, which were killed or cancelled, nothing is known.

    `requests` to storage, by their class (BILLED). `sent` and `received`: bytes of their bodies. `stored`: bytes of
    outputs, artifacts and logs. `seconds` from the message to the commit; those of functions are also
    `gb_seconds` and `calls`, those of containers `cpu_seconds` and `gib_seconds`: what they are billed by.
    """

    executions: int = 0
    unknown: int = 0
    requests: dict[str, int] = {}
    sent: int = 0
    received: int = 0
    stored: int = 0
    seconds: float = 0.0
    calls: int = 0
    gb_seconds: float = 0.0
    cpu_seconds: float = 0.0
    gib_seconds: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        counts = Counter(self.requests)
        counts.update(other.requests)
        return Usage(
            executions=self.executions + other.executions,
            unknown=self.unknown + other.unknown,
            requests=dict(counts),
            sent=self.sent + other.sent,
            received=self.received + other.received,
            stored=self.stored + other.stored,
            seconds=_exact(self.seconds + other.seconds),
            calls=self.calls + other.calls,
            gb_seconds=_exact(self.gb_seconds + other.gb_seconds),
            cpu_seconds=_exact(self.cpu_seconds + other.cpu_seconds),
            gib_seconds=_exact(self.gib_seconds + other.gib_seconds),
        )


class StepUsage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a step has used itself, and what the steps that it became have."""

    own: Usage = Usage()
    children: Usage = Usage()

    @property
    def total(self) -> Usage:
        return self.own + self.children


NOTHING: Final = Usage()
STARTED: Final = Usage(requests={"table_write": 7, "table_read": 1})
"""Of a run itself, from its start to its end: its rows, its lines in three lists, and what they say of its end. Not
counted, but known.
"""


def execution(seen: Usage, machine: Machine, result: StepResult, *, publishes: bool) -> Usage:
    """One execution, when its result is about to be committed. `seen`: requests, bytes and seconds until then."""
    requests = Counter(seen.requests)
    for known in (BY_HOST, BY_COMMIT, BY_PUBLISHING if publishes else {}):
        requests.update(known)
    seconds = _exact(seen.seconds)
    is_function, is_container = machine.kind is ComputeKind.FUNCTION, machine.kind is ComputeKind.CONTAINER
    return Usage(
        executions=1,
        requests=dict(requests),
        sent=seen.sent,
        received=seen.received,
        # Of one whose work goes on the next one has all of the log.
        stored=0 if result.deferral is not None else stored_by(result),
        seconds=seconds,
        calls=int(is_function),
        gb_seconds=_exact(seconds * machine.memory_gib) if is_function else 0.0,
        cpu_seconds=_exact(seconds * machine.cpu) if is_container else 0.0,
        gib_seconds=_exact(seconds * machine.memory_gib) if is_container else 0.0,
    )


def stored_by(result: StepResult) -> int:
    """Bytes that an execution has left in storage, without what another step made and is only named here."""
    files = [file for output in result.outputs.values() for file in output.files if not file.blob]
    return sum(file.size for file in (*files, *result.artifacts)) + result.log_bytes


def of_claim(claim: ClaimRow, *, over: bool) -> StepUsage:
    """What is known of a step. `over`: its run has ended, so that an execution under way will never tell."""
    known = decode(claim.usage)
    silent = claim.state is ClaimState.CALLED_OFF or (over and claim.state is ClaimState.RUNNING)
    lost = claim.crashes + silent
    return StepUsage(own=known.own + Usage(unknown=lost), children=known.children)


def of_run(claims: Iterable[ClaimRow], *, over: bool) -> Usage:
    """What is known of a run: its steps, the runs that they became, and what it takes to start and to end it."""
    return sum((of_claim(claim, over=over).total for claim in claims), STARTED)


def encode(usage: StepUsage) -> str:
    return msgspec.json.encode(usage).decode()


def decode(text: str) -> StepUsage:
    """ "" is what older versions left: nothing is known to have been used."""
    return _decoder.decode(text) if text else StepUsage()


_decoder = msgspec.json.Decoder(StepUsage)


def _exact(value: float) -> float:
    """To a millionth: sums of decimal fractions do not gather dust."""
    return round(value, 6)
