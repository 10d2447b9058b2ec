"""Curricula: stages of a game, weights of configurations, generations (training.md 9).

`stages` trains one net on growing parts of the game, `weights` says which configuration needs work,
`generations` runs whole generations of one configuration.
"""
