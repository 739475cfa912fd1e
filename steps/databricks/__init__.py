"""Steps for a Databricks workspace, and for the node's own Spark in its place."""
