"""A customer's questionnaire about forty product surfaces, answered in one command."""
