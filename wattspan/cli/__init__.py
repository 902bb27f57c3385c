"""The command line: thin faces on the rooms below."""
