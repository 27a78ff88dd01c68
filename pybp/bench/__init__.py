"""``python -m pybp.bench``: what this machine can do, and how near to it pybp comes.

It measures the machine first (multiply-adds, memory, a parallel call), then kernels and whole
workloads, each beside the peers that are installed. ``docs/performance.md`` says how to read it.
"""
