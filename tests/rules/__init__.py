"""Tests of the rule language: they need no database and no network."""
