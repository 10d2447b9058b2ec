"""Tests of `ringrift.rules`; hand-made expectations come from `rules.md` alone."""
