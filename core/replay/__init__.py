"""Which recorded answer a request gets, and giving it again."""
