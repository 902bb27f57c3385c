"""Energy and carbon on LLM inference spans."""
__version__ = "0.1.0"
