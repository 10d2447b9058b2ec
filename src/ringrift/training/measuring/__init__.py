"""Positions of stored games, laid before a net: which games, their targets, what the net says.

`games` chooses them, `positions` replays them into tables of targets, `predicting` asks the net.
"""
