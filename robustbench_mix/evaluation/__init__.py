"""One evaluation: from checked words over an engine to records on disk."""
