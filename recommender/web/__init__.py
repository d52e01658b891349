"""What readers and editors see in a browser: fragments, pages and feeds, as static files or from a server."""
