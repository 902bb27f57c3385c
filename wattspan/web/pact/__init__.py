"""The HTTP API of WBCSD PACT v3 over the footprints of a book."""
