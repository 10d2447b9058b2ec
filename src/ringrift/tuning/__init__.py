"""Find better numbers: studies of hyper-parameters (training.md 10)."""
