"""Alpha-beta and its multi-player kin: a depth-first search inside compiled code (`agents.md` 5).

`agent` is what other rooms use (with `leaf` for what it evaluates with); `deepening` runs the
iterations of one search; `kernel` is the search itself for two players, paranoid and best-reply
play, `multi` that for max-n; `ordering`, `table`, `scores`, `workspace` and `timing` are their parts.
"""
