"""Published figures with their sources, and the fit that turns them into an edition."""
