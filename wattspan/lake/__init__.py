"""Spans at rest: every span of every trace, with energy and carbon on its model calls, in Parquet."""
