"""The HTTP side: recordings served as the providers that made them."""
