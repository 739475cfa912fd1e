"""Work that another service does for a step: a job of a workspace, started once, followed to its end."""
