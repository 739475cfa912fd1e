"""Reuse: whether a step's work has been done before, and what is made of that.

ingredients   what decides what a step makes, gathered for a run
entries       the table of what has been made, and who is making what
consult       decide on the step of a message: take, wait, or run
walk          take from earlier runs, step after step, as far as it goes
forecast      the same decisions beforehand, without doing anything
"""
