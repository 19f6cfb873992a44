"""The rooms of the deciding desk, from the lowest up: records, due, batches, changes, answers. `engine.decide` is the
roof."""
