"""Nets: their state, their programs, and what users call."""
