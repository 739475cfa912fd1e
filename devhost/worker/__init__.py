"""The worker process: loads the user's function_app.py and runs its functions, as the Azure Python worker does."""

from __future__ import annotations
