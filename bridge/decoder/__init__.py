"""Long messages in formats of their own are read in a process of their own, which may die at any of them."""
