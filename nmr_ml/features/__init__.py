"""Features: what is known about an athlete at a moment, as one row of numbers."""
