from typing import Any

from wattspan.otlp.dialects import Reading

def look(scanned: Any, reading: Reading) -> tuple[Any, ...]: ...
