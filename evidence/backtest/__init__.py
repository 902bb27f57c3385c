"""Back-test of decisions: what the typical hour chooses, scored on hours as they came."""
