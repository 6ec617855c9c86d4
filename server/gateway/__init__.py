"""Stands between programs and their model servers, and records every answer before it passes on.

`vesselog.server.Gateway` needs the `server` extra; the other files do not.
"""
