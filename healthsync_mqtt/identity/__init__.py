"""Who may connect: the registry of users and devices, signing keys, tokens, the door's directory, certificates."""
