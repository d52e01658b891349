"""A truth of the site's own: what an index is worth by it, and weights that fit it."""
