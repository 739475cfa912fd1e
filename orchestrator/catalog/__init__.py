"""What can be named and found again: pipelines, sources, data, models, experiments; and how a run is asked for."""
