"""Sessions as impulses under a level that lives: one likelihood for every test of an athlete."""
