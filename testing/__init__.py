"""The conformance kit for authors of vessels: see kit.py, and docs/writing-a-vessel.md.

Nothing is imported here: pytest loads plugin.py in every run of whoever has vesselog installed.
"""
