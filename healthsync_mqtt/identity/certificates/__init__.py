"""The CA, server and client certificates: how they are made, kept, served and refused."""
