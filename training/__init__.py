"""Tracked experiments: train, evaluate and promote recovery-time models."""
