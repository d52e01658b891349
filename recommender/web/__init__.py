"""What goes out to readers: fragments, pages and feeds, a read-only server, and the script that a site embeds."""
