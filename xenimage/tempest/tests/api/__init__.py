"""Tests of a cloud from outside, as its tenant."""
