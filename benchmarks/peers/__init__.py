"""The same features written for other tools, so that their time can be compared with the engine."""
