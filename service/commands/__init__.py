"""The verbs of the command line, by what they need: `prepare`, `engine`, `records`, `requests`, `compare`, `demo`."""
