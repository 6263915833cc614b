"""Predictions as Parquet, as JSON and for a person."""
