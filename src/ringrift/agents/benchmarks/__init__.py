"""Measurements of the engine, the agents and their memory, with the code that games use.

Nothing here prints or knows of a data root; `ringrift bench` stands on it (`agents.md` 11).
"""
