"""Exports: datasets made by one process or several, resumed, cached, extended (data.md 5)."""
