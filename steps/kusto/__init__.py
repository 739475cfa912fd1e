"""Steps that query a cluster of Azure Data Explorer (Kusto)."""
