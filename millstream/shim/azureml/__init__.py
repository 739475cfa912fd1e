"""Stands for azureml in the processes of steps, where it is linked; `millstream.shim.stand_in` says how."""

from __future__ import annotations

from millstream.shim import stand_in

stand_in()
