"""Bluetooth Low Energy: what scales, cuffs, thermometers, meters, straps and sensors say by the standard profiles."""
