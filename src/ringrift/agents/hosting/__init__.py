"""Games that somebody hosts: people and agents at one board, lines of text, positions to analyse.

Nothing here prints; the command line and the move service stand on it (`agents.md` 10).
"""
