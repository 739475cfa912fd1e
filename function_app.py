"""The composition root of the Functions app: settings -> what steps run with -> triggers. No logic here."""

from __future__ import annotations

import os
import sys

from orchestrator import logs
from orchestrator.adapters.webhooks import Caller
from orchestrator.ports import Post
from orchestrator.settings import read
from orchestrator.triggers import functions
from worker.equipment import equip

settings = read(os.environ)
logs.install(settings.log_form)
equipment = equip(settings, os.environ, python_path=tuple(path for path in sys.path if ".python_packages" in path))
equipment.world.register(Post, Caller(settings.webhook_key_bytes, private=settings.webhook_private))

app = functions.build(settings, equipment.world, equipment.memory)
