"""Receivers of webhooks outside: what they were told, and the promises that are made to them.

W1 who is called is told of a run that has ended, as it has ended. W2 a webhook knows one message id for a run's end,
and no other run's end has it. W3 nobody is called that has not asked for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from orchestrator.core.head import Head
from orchestrator.core.webhook import EVENTS, Notify, Webhook
from orchestrator.ports import Post, Posted
from tests.simulation.checker import Violation


@dataclass(slots=True)
class Receivers:
    """`refusals`: how many calls for each message are answered with 500 before one is accepted."""

    head_of: Callable[[str], Head | None]
    hooks: dict[str, Webhook | Notify] = field(default_factory=dict)
    refusals: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    accepted: Counter[tuple[str, str]] = field(default_factory=Counter)
    ids: dict[tuple[str, str], str] = field(default_factory=dict)

    def call(self, post: Post) -> Posted:
        """A call arrives."""
        told: dict[str, Any] = msgspec.json.decode(post.body)
        run = told["data"]["run"]["id"]
        hook = self._known(post)
        head = self.head_of(run)
        if head is None or not head.status.terminal:
            raise Violation("W1", f"{hook} is told of the end of {run}, which is {head}")
        if told["type"] != EVENTS[head.status] or told["data"]["run"]["status"] != head.status:
            raise Violation("W1", f"{hook} is told {told['type']} of {run}, which is {head.status}")
        if self.ids.setdefault((run, hook), post.message_id) != post.message_id:
            raise Violation("W2", f"{hook} is told of the end of {run} under two ids")
        if len(set(self.ids.values())) != len(self.ids):
            raise Violation("W2", f"two ends have the id {post.message_id}")
        self.calls[post.message_id] += 1
        if self.calls[post.message_id] <= self.refusals:
            return Posted(status=500)
        self.accepted[run, hook] += 1
        return Posted(status=204)

    def _known(self, post: Post) -> str:
        for name, hook in self.hooks.items():
            if (hook.url, hook.signer) == (post.url, post.signer):
                return name
        raise Violation("W3", f"{post.url} is called, which nobody has asked for")
