"""The OTLP gateway: takes spans in, puts energy and carbon on them, keeps them on disk until delivered."""
