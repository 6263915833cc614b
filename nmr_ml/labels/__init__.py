"""What the tests after an episode showed."""
