"""Time and memory of the feature engine beside the same features in other tools."""
