"""One way: a module here imports only errors and what comes before it in the table of `recommender`."""
