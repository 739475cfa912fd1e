"""Spark on the node itself: pyspark and Java, without a cluster."""
