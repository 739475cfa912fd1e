"""The engine, as it is, in a seeded world of failing hosts and faulty storage. Many of them: scripts/simulate.

loop       simulated time
storage    tables, queues and blobs in memory, watched by the checker, counted by kind
checker    the invariants of the run protocol, at every write
receiver   those whom webhooks tell of the end of a run
faults     what goes wrong and when: nothing, a script, or at random
process    a process of the app: effects, locks, death, freezing
host       the Functions host: receives, invokes, binds outputs, renews, gives up, fires the timer
graphs     pipelines, and how their steps behave
simulation a whole world: hosts, clients, runs; storm, healing, verdict
mutants    the protocol broken on purpose
"""
