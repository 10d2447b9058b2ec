"""Game records: formats, replay, verification, store."""
