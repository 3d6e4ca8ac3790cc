"""How much an address, a device and a user may ask for. Pure."""
