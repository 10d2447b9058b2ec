"""How good games are to learn from: weights by rating, and the score of a configuration (data.md 7)."""
