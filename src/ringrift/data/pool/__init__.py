"""The canonical pool: the one door through which games become training data (data.md 1, 2)."""
