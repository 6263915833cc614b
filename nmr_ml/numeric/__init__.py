"""Arithmetic without a domain: arrays, how kernels are compiled, sorted rows, folds."""
