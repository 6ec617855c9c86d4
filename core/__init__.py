"""The core: chunks, requests, errors, framing, the exchange; http, recordings, client, replay.

It imports no other room of the library.
"""
