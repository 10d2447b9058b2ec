"""The checks of `ringrift doctor`, one module per family; `table` holds them in their order."""
