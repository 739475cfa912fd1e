"""Hands mini-batches out to processes: tries them again, ends those that take too long, and writes what became of each.

    python main.py request.json

It ends well however many mini-batches failed: the file that the request names as `outcome` says so. A mini-batch is in
it once, and only when it is decided.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any

ENTRY = Path(__file__).with_name("entry.py")
_SHUTDOWN_SECONDS = 60.0
_DRAIN_SECONDS = 5.0


class Board:
    """What is to be done and what is decided. Thread-safe."""

    def __init__(self, request: dict[str, Any]) -> None:
        self._change = threading.Condition()
        self._todo: deque[dict[str, Any]] = deque(request["batches"])
        self._left = len(request["batches"])
        self._most_tries: int = request["tries"]
        self._most_failed_items: int = request["error_threshold"]
        self._most_failed: int = request["allowed_failed_count"]
        self._tries: dict[int, int] = {}
        self.verdicts: dict[int, dict[str, Any]] = {}
        self.init_error = ""
        self.stopped = False

    @property
    def is_over(self) -> bool:
        return self.stopped or bool(self.init_error)

    def take(self) -> dict[str, Any] | None:
        """The next mini-batch, waited for while others may yet come back; None: there will be none."""
        with self._change:
            while not self._todo and self._left and not self.is_over:
                self._change.wait()
            return None if self.is_over or not self._todo else self._todo.popleft()

    def done(self, batch: dict[str, Any], returned: int, seconds: float) -> None:
        with self._change:
            self._decide(batch, returned=returned, seconds=seconds, error="")

    def failed(self, batch: dict[str, Any], error: str, seconds: float) -> str:
        """Returns how often it has been tried, for people. It comes again, after the others, if it may."""
        with self._change:
            tries = self._count(batch)
            if tries < self._most_tries:
                self._tries[batch["index"]] = tries
                self._todo.append(batch)
                self._change.notify()
            else:
                self._decide(batch, returned=0, seconds=seconds, error=error)
            return f"try {tries} of {self._most_tries}"

    def give_up(self, init_error: str) -> None:
        with self._change:
            self.init_error = self.init_error or init_error
            self._change.notify_all()

    def _count(self, batch: dict[str, Any]) -> int:
        return self._tries.get(batch["index"], 0) + 1

    def _decide(self, batch: dict[str, Any], **verdict: Any) -> None:
        index = batch["index"]
        known = {"index": index, "items": batch["items"], "tries": self._count(batch), **verdict}
        assert index not in self.verdicts, "a mini-batch is decided once"
        self.verdicts[index] = known
        self._left -= 1
        every = self.verdicts.values()
        items = sum(it["items"] if it["error"] else max(0, it["items"] - it["returned"]) for it in every)
        batches = sum(bool(it["error"]) for it in every)
        if 0 <= self._most_failed_items < items or 0 <= self._most_failed < batches:
            self.stopped = self._left > 0
        if not self._left or self.stopped:
            self._change.notify_all()


class Process:
    """A process of the entry script, and the pipes to it."""

    def __init__(self, request_path: str, number: int) -> None:
        theirs, self._orders = os.pipe()
        self._answers, answers = os.pipe()
        self._buffer = b""
        try:
            self._process = subprocess.Popen(
                [sys.executable, str(ENTRY), request_path, str(number), str(theirs), str(answers)],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs, answers),
                process_group=0,
            )
        finally:
            os.close(theirs)
            os.close(answers)

    def order(self, message: dict[str, Any]) -> None:
        """To a process that is dead, nothing: its answer says so."""
        data = json.dumps(message).encode() + b"\n"
        try:
            while data:
                data = data[os.write(self._orders, data) :]
        except BrokenPipeError:
            pass

    def answer(self, seconds: float | None) -> dict[str, Any] | None:
        """What it says. None: nothing in that time. Raises EOFError: it has ended."""
        until = None if seconds is None else time.monotonic() + seconds
        while b"\n" not in self._buffer:
            left = None if until is None else max(0.0, until - time.monotonic())
            if not select.select([self._answers], [], [], left)[0]:
                return None
            data = os.read(self._answers, 65536)
            if not data:
                raise EOFError
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        said: dict[str, Any] = json.loads(line)
        return said

    def end(self, seconds: float) -> None:
        """Let it shut down, and end it by force if it takes longer."""
        self.order({"end": True})
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            say(f"shutdown() of the entry script took longer than {seconds:g} s and was ended.")
        self.kill()

    def kill(self) -> str:
        """End it, if it has not ended, and what it started. Returns how it ended, for people."""
        ended = self._process.poll() is not None
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        code = self._process.wait()
        for descriptor in (self._orders, self._answers):
            os.close(descriptor)
        return _how(code) if ended or code != -signal.SIGKILL else "was ended by SIGKILL"


def _how(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


class Hand:
    """One process after the other, given mini-batches until there are none."""

    def __init__(self, board: Board, request: dict[str, Any], path: str, number: int) -> None:
        self._board = board
        self._timeout: float = request["timeout"]
        self._verbose: bool = request["level"] == "DEBUG"
        self._path = path
        self._number = number
        self._process: Process | None = None

    def work(self) -> None:
        try:
            while (batch := self._board.take()) is not None:
                process = self._process or self._start()
                if process is None:
                    return
                self._process = process
                self._do(process, batch)
        finally:
            if self._process is not None:
                self._process.end(_SHUTDOWN_SECONDS)

    def _start(self) -> Process | None:
        """A process that has called init(); None: it could not."""
        process = Process(self._path, self._number)
        try:
            answer = process.answer(None)
        except EOFError:
            answer = {"init_error": f"The process {_dead(process)} while it was starting."}
            self._board.give_up(answer["init_error"])
            return None
        if answer is None or "init_error" in answer:
            process.kill()
            self._board.give_up(str((answer or {}).get("init_error")))
            return None
        return process

    def _do(self, process: Process, batch: dict[str, Any]) -> None:
        begun = time.monotonic()
        process.order({"batch": batch})
        try:
            answer = process.answer(self._timeout)
        except EOFError:
            error = f"The process {_dead(process)}."
            self._process = None
        else:
            if answer is None:
                process.kill()
                self._process = None
                error = f"run() took longer than {self._timeout:g} s (run_invocation_timeout)."
            else:
                error = answer.get("error", "")
        seconds = round(time.monotonic() - begun, 3)
        if error:
            tries = self._board.failed(batch, error, seconds)
            say(f"Mini-batch {batch['index']}, {tries}: {error}")
            return
        assert answer is not None
        self._board.done(batch, answer["returned"], seconds)
        if self._verbose:
            say(f"Mini-batch {batch['index']}: {answer['returned']} results of {batch['items']} in {seconds:g} s")


def _dead(process: Process) -> str:
    """It has closed its pipe; it ends, or is ended."""
    with suppress(subprocess.TimeoutExpired):
        process._process.wait(_DRAIN_SECONDS)
    return process.kill()


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(path: str) -> None:
    request: dict[str, Any] = json.loads(Path(path).read_bytes())
    board = Board(request)
    count = max(1, min(request["processes"], len(request["batches"])))
    hands = [Hand(board, request, path, number) for number in range(count)]
    threads = [threading.Thread(target=hand.work, name=f"hand-{number}") for number, hand in enumerate(hands)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    outcome = {
        "verdicts": [board.verdicts[index] for index in sorted(board.verdicts)],
        "init_error": board.init_error,
        "stopped": board.stopped,
    }
    draft = Path(f"{request['outcome']}~")
    draft.write_text(json.dumps(outcome), encoding="utf-8")
    draft.replace(request["outcome"])


if __name__ == "__main__":
    main(sys.argv[1])
