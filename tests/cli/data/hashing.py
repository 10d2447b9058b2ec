"""Hashes of a folder, to see that nothing in it has changed."""

import hashlib


def hashes(folder):
    """Hash every file but those that SQLite keeps beside a database while somebody reads it."""
    return {
        path: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(("-shm", "-wal"))
    }
