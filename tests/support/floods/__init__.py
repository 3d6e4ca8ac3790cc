"""The flood suite: every packet and frame type, before and after login, while a bystander's messages are timed."""
