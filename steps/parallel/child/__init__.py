"""The processes of a group of mini-batches: one that hands them out (`main`), and those that run the entry script
(`entry`). They become the user's, run by whatever interpreter the step has, and so use the standard library only, and
for tables what every script has that reads datasets.
"""
