"""Steps that run as a task of Azure Batch."""
