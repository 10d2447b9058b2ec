"""Tree search of many games in lock step: arrays, rules of selection, proofs, and the walk."""
