"""Checks, repairs and compares recordings: nothing in here is needed to make or to replay one."""
