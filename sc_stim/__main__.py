"""`python -m sc_stim` is `sc-stim`."""

from sc_stim.cli import main

main()
