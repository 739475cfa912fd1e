"""The processes under which the scripts of a worker run. Standard library only.

    worker ── zygote ── keeper ── script ── whatever the script starts

The zygote (`main.py`, run by path, one per worker and interpreter) is started with the clean environment of scripts and
never held anything else. It keeps one *pair* of processes ready, forked in advance so that an attempt waits for no
fork: a keeper, and below it the process of a script yet to come. It gives the worker the pair's two sockets, and forks
the next pair when asked to.

- The keeper (`keeper.py`) is the init of the script's process tree (on Linux a sub-reaper): daemons cannot leave it. It
  enforces the deadline, stops the tree when told to, and is done only when no process of the tree is left.
- The worker's end of the keeper's socket is nowhere but in the worker, so its closing tells the keeper that the worker
  is dead; it kills the tree. If the keeper itself is killed, the kernel kills the script, and the zygote, which
  inherits what is left, kills that.
- The script (`script.py`) runs in the prepared process itself where that cannot be told from `python script.py`; else
  that process executes a fresh interpreter, or whatever the command is.

What a script can see of the difference: a frame of `main.py` below its `<module>` when it walks the stack;
/proc/self/cmdline and /proc/self/environ, which are the zygote's; more entries in sys.modules, and logging's exit
handler always behind the script's own; one hash seed per worker (a step that sets PYTHONHASHSEED gets a fresh
interpreter). The interpreter is Python 3.10 or later.

Protocol, all sockets streams. Zygote to worker: the byte P with two descriptors, the keeper's socket and the script's.
Worker to zygote: N, prepare the next pair. Worker to script: 4 bytes of length
(network order) with the write end of the log pipe as descriptor, then the request as JSON. Worker to keeper, as lines:
`go <timeout> <grace>` (seconds, timeout may be `inf`), `stop` (SIGTERM, after the grace SIGKILL), `kill`. Keeper to
worker, at the end, a line of JSON: {"status": wait status, "seconds": of life, "timed_out": bool, "strays": processes
that outlived the script}.
"""
