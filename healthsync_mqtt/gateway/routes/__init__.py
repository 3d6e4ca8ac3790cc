"""The routes of the API, a folder for each part of it."""
