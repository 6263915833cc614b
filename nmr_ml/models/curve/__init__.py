"""The recovery curve of anybody, learnt from noisy tests."""
