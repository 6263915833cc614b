"""From history and bundle to the rows of an answer."""
