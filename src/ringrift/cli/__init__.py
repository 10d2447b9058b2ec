"""The command line: one module per group parses, calls one function of a room and prints.

| module | holds |
|---|---|
| `main`, `help_text` | the program: lazy groups, signals, exit codes; how help looks |
| `invocation` | one run of a command: global options, data root, settings |
| `output` | results, tables, progress |
| `failure`, `exit_codes` | how an error is shown; the codes of all commands |
| `lists` | options that take several words, commas and patterns |
| `shared_options`, `completion` | options that mean the same everywhere; what a shell completes |
| `reference`, `schemas` | the reference and man pages made from the program; forms of `--json` results |
"""
