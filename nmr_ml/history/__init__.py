"""What was on record of an athlete at a moment, as sorted arrays."""
