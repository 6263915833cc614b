"""From the JSON of one athlete to canonical rows."""
