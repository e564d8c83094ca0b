"""Backbones, heads, the model directory and its float conversion to TFLite."""
