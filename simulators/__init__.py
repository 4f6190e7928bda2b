"""Simulated pumps, stimulators and patients: seeded, repeatable, reporting over MQTT like real ones.

Others use `simulators.scenario.load` for a cohort and `simulators.fleet.Fleet` to run it; `python -m simulators` is
the same from the shell.
"""
