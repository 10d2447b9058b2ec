"""Agents: what decides moves, and the words that name them.

Other rooms use `factory.make_agent`, `protocol` (Batch, Budget, Decision, Agent, Evaluator, Rngs),
`spec` (parse_spec, KINDS) and `values`. Nothing is re-exported here, so that reading a spec loads
no compiler.
"""
