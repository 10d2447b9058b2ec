"""Studies of the training's hyper-parameters (training.md 10).

`space` says what is searched, `study` proposes and remembers trials, `trials` makes each one a
training, `confirm` trains the best set against the present one, and `tune` does all of it.
"""
