"""The program: a flat list of ops over named buffers, and what is derived from it."""
