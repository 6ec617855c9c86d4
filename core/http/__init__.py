"""Carries the bytes: httpx, its transports, proxies, and what their failures mean."""
