"""A local Azure Functions host for Python v2 apps (``function_app.py``).

It stands in for the Functions runtime on a developer's machine: HTTP, queue, blob and timer triggers, queue and blob
bindings, keys, leases, retries and poison queues, over Azurite or any storage account. Run ``python -m devhost``.
"""

from __future__ import annotations
