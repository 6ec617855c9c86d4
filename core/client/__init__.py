"""The two clients, sync and async, over one exchange."""
