"""From datasets to batches: targets in relative seats, weights, symmetries (training.md 1, 5)."""
