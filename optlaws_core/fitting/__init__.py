"""Laws fitted to runs."""
