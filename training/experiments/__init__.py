"""Tracked runs: train, evaluate, adapt, promote."""
