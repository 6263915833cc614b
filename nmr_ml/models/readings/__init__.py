"""What the next test will show."""
