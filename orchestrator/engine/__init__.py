"""The run protocol: start, deliver, complete, advance, cancel, sweep. Generators over `orchestrator.ports`."""
