"""Training of NNUEs: the float net, its rounding simulated, and its task (training.md 4, 5)."""
