"""What keeps an index well: check, repair, compact, back up, compare."""
