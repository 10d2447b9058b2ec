"""How far predicted probabilities are from what happened, and what corrects them (training.md 7).

Predictions and outcomes are values in [-1, 1] and stand for the probability (1 + value) / 2, in whose
units errors are given. `value_calibration` has the public names.
"""
