"""Worlds of our own: athletes by equations that share nothing with `nmr_ml.simulator`.

What a model has learnt to expect of that simulator it cannot find here, so what it still gets right
it owes to the data. Forms and constants are invented; they only have to be possible.
"""
