"""The durable truth: an index folder and the SQLite file in it."""
