"""What is written of an archive, and in what transaction."""
