"""What `make bench` measures. `python -m benchmarks --help` lists the parts; `docs/benchmarks.md` shows the figures.

Every part that needs a server starts its own on loopback, with the shipped configuration and every safety setting on.
"""
