"""Neuromuscular recovery: how many hours it takes, how sure that is, and why."""
