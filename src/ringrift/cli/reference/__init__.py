"""The reference, made from the program itself so that it cannot be wrong.

| module | holds |
|---|---|
| `pages` | what each command says of itself: usage, options, examples |
| `markdown` | the files of `docs/reference`: commands and exit codes |
| `tables` | the tables of settings, environment variables and metrics |
| `roff` | man pages |
| `schemas` | the JSON schemas of results |
"""
