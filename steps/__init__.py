"""Executes steps: a module per kind of step, and the worker that prepares, runs, watches and collects.

Nothing here decides what runs next; `orchestrator.engine` asks for an attempt (`Perform`) and gets its StepResult.
"""
