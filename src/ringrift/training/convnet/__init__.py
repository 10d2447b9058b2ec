"""Training of the convolutional net: what it begins with, loses and is measured by (training.md 3)."""
