"""What training found, for people."""
