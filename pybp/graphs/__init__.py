"""Graphs of layers: what a net is made of, and how its inputs lie."""
