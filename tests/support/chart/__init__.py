"""The chart, drawn by Helm's own code in a process of its own."""
