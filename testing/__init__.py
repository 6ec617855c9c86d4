"""The conformance kit for authors of vessels."""
