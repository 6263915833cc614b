"""Predictions with a registered model: batch scoring and the online API."""
