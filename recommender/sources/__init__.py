"""Sources of articles that are no tables: exports, feeds, pages, Markdown. One module a kind, imported on demand."""
