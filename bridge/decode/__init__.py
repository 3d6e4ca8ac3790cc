"""Bytes of a delivery to events and rejections. Pure; never raises; one bad event never harms the others."""
