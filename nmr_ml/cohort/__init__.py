"""A folder of tables becomes a checked, canonical cohort, or rows with a reason."""
