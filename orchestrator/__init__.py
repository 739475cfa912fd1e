"""Decides what runs next, and remembers it. Never runs user code."""
