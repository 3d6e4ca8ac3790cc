"""Services that hold the outer key, one a file: what each is asked, in its documented calls."""
