"""Studies of the training's hyper-parameters (training.md 10).

`space` says what is searched, `study` proposes and remembers trials, `trials` makes each one a
training, `confirm` trains the best set against the present one, `contest` has their nets play, `tune`
does all of it, `studying` begins it from a training, and `report` keeps what came of it.
"""
