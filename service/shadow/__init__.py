"""Trying rules on what is known, without writing anything: what would be written now (`planning`), and what would have
been decided otherwise while users go on (`following`). Both work on a copy of the store, and only read the systems."""
