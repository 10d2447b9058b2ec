"""One training loop for every kind of net: settings, steps, checkpoints, reports (training.md 5, 6).

`settings` says how to train, `task` what a kind of net brings, `trainer` runs it in a run folder.
"""
