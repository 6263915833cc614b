"""The HTTP side of predictions."""
