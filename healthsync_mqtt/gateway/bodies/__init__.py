"""What requests and answers are made of: bodies, pages of lists, problems, and the room they take."""
