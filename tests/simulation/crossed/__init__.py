"""The simulated world for records whose systems have keys of their own; `docs/simulation.md` tells it in words."""
