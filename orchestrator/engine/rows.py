"""How the values of the protocol lie in table rows. A run is one partition: PK = run id.

    g            the run's info, as JSON (tags may change; nothing else does)
    h            the head
    c|<step>     the claim of a step
    d|<step>|<owner>   what the script of an attempt has said of itself to the service: tags and properties
    i|<step>     inbox: a final verdict not yet entered in the head

`h` sorts directly before `i|`, so head and inbox are one range query.
"""

from __future__ import annotations

import msgspec

from orchestrator.core import stored
from orchestrator.core.claim import ClaimRow
from orchestrator.core.head import Head, Outcome, Verdict
from orchestrator.core.states import ClaimState, RunStatus
from orchestrator.ports import Props, Row

RUNS = "runs"
CATALOG = "catalog"
"""The table of what outlives runs (`orchestrator.catalog`)."""
INFO = "g"
HEAD = "h"
CLAIMS = ("c|", "c}")
INBOX = ("i|", "i}")
SAID = "d|"
HEAD_AND_INBOX = ("h", "i}")
VERSION = 1
"""Of all rows but heads and claims (`orchestrator.core.stored`)."""


def claim_key(step: int) -> str:
    return f"c|{step:06d}"


def said_key(step: int, owner: str) -> str:
    return f"{SAID}{step:06d}|{owner}"


def inbox_key(step: int) -> str:
    return f"i|{step:06d}"


def step_of(rk: str) -> int:
    return int(rk[2:])


def pack(mask: int) -> bytes:
    """A set of steps as a property."""
    return mask.to_bytes((mask.bit_length() + 7) // 8, "little")


def unpack(value: object) -> int:
    assert isinstance(value, bytes)
    return int.from_bytes(value, "little")


def head_props(head: Head) -> Props:
    """The whole control state: under 64 KiB a property up to 524,288 steps."""
    return {
        "v": stored.newest(stored.HEAD),
        "status": head.status.value,
        "done": pack(head.done),
        "failed": pack(head.failed),
        "skipped": pack(head.skipped),
        "attempts": msgspec.json.encode({str(k): v for k, v in head.attempts.items()}).decode(),
        "keep_going": head.keep_going,
        "window": head.window,
        "priority": head.priority,
    }


def read_head(row: Row) -> Head:
    p = row.props
    attempts: dict[str, int] = msgspec.json.decode(str(p["attempts"]))
    return Head(
        status=RunStatus(str(p["status"])),
        done=unpack(p["done"]),
        failed=unpack(p["failed"]),
        skipped=unpack(p["skipped"]),
        attempts={int(k): v for k, v in attempts.items()},
        keep_going=bool(p["keep_going"]),
        window=int(p["window"]),
        priority=int(p.get("priority", 0)),
    )


def claim_props(claim: ClaimRow) -> Props:
    return {
        "v": stored.newest(stored.CLAIM),
        "state": claim.state.value,
        "attempt": claim.attempt,
        "owner": claim.owner,
        "message": claim.message_id,
        "dequeues": claim.dequeue_count,
        "retries": claim.retries,
        "crashes": claim.crashes,
        "delay": claim.delay,
        "started": claim.started_at,
        "result": claim.result,
        "result_blob": claim.result_blob,
        "decision": claim.decision,
        "child": claim.child,
        "execution": claim.execution,
        "looks": claim.looks,
        "usage": claim.usage,
        "saved": claim.saved,
        "releases": claim.releases,
    }


def read_claim(row: Row) -> ClaimRow:
    p = row.props
    return ClaimRow(
        state=ClaimState(str(p["state"])),
        attempt=int(p["attempt"]),
        owner=str(p["owner"]),
        message_id=str(p["message"]),
        dequeue_count=int(p["dequeues"]),
        retries=int(p["retries"]),
        crashes=int(p["crashes"]),
        delay=float(p["delay"]),
        started_at=float(p["started"]),
        result=str(p.get("result", "")),
        result_blob=str(p.get("result_blob", "")),
        decision=str(p.get("decision", "")),
        child=str(p.get("child", "")),
        execution=str(p.get("execution", "")),
        releases=int(p.get("releases", 0)),
        looks=int(p.get("looks", 0)),
        usage=str(p.get("usage", "")),
        saved=str(p.get("saved", "")),
    )


def inbox_props(outcome: Outcome) -> Props:
    return {"v": VERSION, "verdict": outcome.verdict.value, "attempt": outcome.attempt}


def read_inbox(row: Row) -> Outcome:
    return Outcome(step=step_of(row.rk), verdict=Verdict(str(row.props["verdict"])), attempt=int(row.props["attempt"]))
