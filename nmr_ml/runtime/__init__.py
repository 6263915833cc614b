"""Where state, settings and failures go."""
