"""Mini-batches: dividing an input, running groups of its parts, and putting what they gave together again.

sources     what there is to divide: files by name, rows by content
splitting   into mini-batches, and these into groups; pure
plan        mini-batches and groups as documents
group       one group: its files are brought, its processes run
child       the processes that run the entry script; nothing of the product but the standard library
verdicts    what became of each mini-batch, and whether too many failed
joining     the rows and files of all groups as the outputs of the step
"""
