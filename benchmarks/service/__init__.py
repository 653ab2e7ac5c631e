"""The service under load: how fast, how steady, and whether anything is lost."""
