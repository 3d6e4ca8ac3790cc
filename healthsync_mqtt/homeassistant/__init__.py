"""The newest values of users on the dashboards of Home Assistant: what they are, how they are said and kept."""
