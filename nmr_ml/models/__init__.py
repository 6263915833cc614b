"""What is learnt, and the numbers it gives; models see arrays, never tables."""
