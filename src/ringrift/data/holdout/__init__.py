"""The games kept out of training: how many, which, and how far training knows them (data.md 9)."""
