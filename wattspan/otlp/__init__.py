"""Bytes to calls and back: the wire kernel, dialects, owners, JSON text, containers, attributes."""
