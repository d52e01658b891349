"""All articles of an index in memory: counts, vectors, links, threads."""
