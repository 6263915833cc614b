"""What components are fitted to and scored on."""
