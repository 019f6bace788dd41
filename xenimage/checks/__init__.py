"""Opinions as pure functions: facts in, findings out."""
