"""Data that is copied from one place to another without a script: what `steps.data_transfer` is made of."""
