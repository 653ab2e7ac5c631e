"""The schema migrations, in order."""
