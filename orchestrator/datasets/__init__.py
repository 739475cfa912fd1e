"""What a dataset document means: its files, and its rows. Nothing is read before somebody asks for it.

Neutral between the client and the worker of steps: it knows the core, and reaches data by `access.Access`. Tables are
Arrow's; `pyarrow` is imported by `table` and what it uses, not by what is about files.
"""
