"""The core: chunks, requests, errors, framing, the exchange, ground truth, client, replay.

It imports no other room of the library.
"""
