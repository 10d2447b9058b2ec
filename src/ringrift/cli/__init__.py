"""The command line: one module per group parses, calls one function of a room and prints.

| module | holds |
|---|---|
| `main` | the program: lazy groups, signals, exit codes |
| `invocation` | one run of a command: global options, data root, settings |
| `output` | results, tables, progress |
| `failure` | how an error is shown |
| `lists` | options that take several words, commas and patterns |
"""
