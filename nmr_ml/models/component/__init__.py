"""One component's model for one athlete: offsets, calibration, clearance."""
