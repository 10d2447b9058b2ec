"""What may be learned from: the pool and its gate, splits, datasets, statistics (data.md)."""
