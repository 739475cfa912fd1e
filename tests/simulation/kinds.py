"""What a storage operation is for, told from the effect that asks for it."""

from __future__ import annotations

from typing import Any

from orchestrator.core.states import ClaimState
from orchestrator.engine.index import INDEX
from orchestrator.engine.outbox import WEBHOOKS
from orchestrator.engine.reuse.entries import REUSE
from orchestrator.engine.rows import HEAD, INFO
from orchestrator.ports import Commit, Effect, Get, Insert, Post, Query, ReadBlob, Send, Write, WriteBlob

PER_STEP = (
    "put",
    "head read",
    "claim",
    "input read",
    "commit",
    "combine query",
    "combine swap",
    "delete",
    "heartbeat",
    "take over",
    "retry",
    "reuse read",
    "reuse write",
)
PER_RUN = (
    "start",
    "info read",
    "definition",
    "document",
    "index",
    "cancel",
    "sweep",
    "discard",
    "give back",
    "renew",
    "webhook",
)
RECEIVE = "receive"


def kind_of(effect: Effect[Any]) -> str:
    """One of PER_STEP or PER_RUN."""
    if isinstance(effect, Post) or getattr(effect, "table", "") == WEBHOOKS:
        return "webhook"
    if isinstance(effect, Commit):
        return _kind_of_commit(effect)
    if isinstance(effect, Get):
        if effect.table == REUSE:
            return "reuse read"
        return {HEAD: "head read", INFO: "info read"}.get(effect.rk, "input read")
    if isinstance(effect, Query):
        if effect.table == INDEX:
            return "sweep"
        if effect.first == HEAD:
            return "combine query"
        return "sweep" if effect.select else "input read"
    if isinstance(effect, Send):
        return "put"
    if isinstance(effect, ReadBlob):
        return "definition"
    if isinstance(effect, WriteBlob):
        return "document"
    return type(effect).__name__


def _kind_of_commit(commit: Commit) -> str:
    if commit.table == INDEX:
        return "index"
    if commit.table == REUSE:
        return "reuse write"
    first = commit.writes[0]
    kinds = {write.rk[0] for write in commit.writes}
    if "g" in kinds:
        return "start"
    if "c" in kinds:
        return "commit" if len(kinds) > 1 else _kind_of_claim(first)
    if "i" in kinds:
        return "combine swap" if "h" in kinds else "discard"
    return "cancel"


def _kind_of_claim(write: Write) -> str:
    if isinstance(write, Insert):
        return "claim"
    props = getattr(write, "props", {})
    state = props.get("state")
    return {None: "heartbeat", ClaimState.RETRYING.value: "retry"}.get(state, "take over")
