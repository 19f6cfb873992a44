"""The fault lab: what databases do while their users wait at COMMIT for somebody else, measured on real servers.

First the lines of a table of measurements, each a test, with raw clients of the lab's own (`standby.py`, `replica.py`)
that know nothing of duolog; then duolog itself between two such servers, killed and cut while its users commit.
"""
