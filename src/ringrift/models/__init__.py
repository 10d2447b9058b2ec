"""Which model is champion: an append-only chain of decisions per configuration.

`decisions` holds the chain, `registry` finds model files. Files and loading live in `nets`.
"""
