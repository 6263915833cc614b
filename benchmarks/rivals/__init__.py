"""Methods that predict recovery times, on the same simulated episodes as the project's model."""
