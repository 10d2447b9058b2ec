"""Trees of JSON lines, taken into a store as they grow (data.md 3)."""
