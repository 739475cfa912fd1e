"""The worlds: what carries out the engine's effects, on Azure storage or in memory."""
