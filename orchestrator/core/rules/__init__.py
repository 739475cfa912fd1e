"""The rules of a pipeline definition, one small function each. `orchestrator.core.validation` puts them to work."""
