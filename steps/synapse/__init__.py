"""Steps for a Spark pool of a Synapse workspace, and for the node's own Spark in its place."""
