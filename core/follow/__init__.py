"""Following a recording while it is written."""
