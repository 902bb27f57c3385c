"""Readers of foreign formats: files of spans or of calls as portions that the lake takes."""
