"""Routes of links to providers' clouds."""
