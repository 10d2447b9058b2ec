"""Early and regular measurements of the newest models: the shadow service (`evaluation.md` 10).

| module | holds |
|---|---|
| `rounds` | the matches of a round, and what the stored games of rounds say |
| `schedule` | which rounds are due |
| `trends` | the trend over rounds, and falls below the predecessor |
| `watching` | model files that appear in a folder |
| `service` | the service: looks, plays, tells |
| `server` | its pages over HTTP |

Rounds are matches in the game store; nothing else is kept. The service never promotes.
"""
