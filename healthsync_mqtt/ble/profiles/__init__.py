"""One profile of Bluetooth's a file: how its characteristics lie in their octets, and what becomes of them."""
