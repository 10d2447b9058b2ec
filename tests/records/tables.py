"""Look at and alter the tables of a store behind its back."""

import sqlite3
from contextlib import closing


def rows(path, sql, *values):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql, values).fetchall()


def change(path, sql, *values):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(sql, values)


def tamper(path, sql, *values):
    """Change also what the store's own triggers protect."""
    with closing(sqlite3.connect(path)) as connection, connection:
        guard = connection.execute(
            "SELECT sql FROM sqlite_schema WHERE name = 'games_fixed'"
        ).fetchone()[0]
        connection.execute("DROP TRIGGER games_fixed")
        connection.execute(sql, values)
        connection.execute(guard)


def counts_agree(path):
    """Compare the counts that are kept with those of the rows."""
    kept = rows(path, "SELECT * FROM game_counts WHERE games != 0 ORDER BY 1, 2, 3, 4")
    counted = rows(
        path,
        "SELECT config, purpose, status, split, count(*) FROM games GROUP BY 1, 2, 3, 4"
        " ORDER BY 1, 2, 3, 4",
    )
    return kept == counted
