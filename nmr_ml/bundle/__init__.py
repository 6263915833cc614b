"""A model on disk and in the registry: data, never code."""
