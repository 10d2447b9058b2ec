"""RingRift: a self-play training system for the board game RingRift."""
