"""One pass from games to a measured model, in stages that are done once (training.md 11)."""
