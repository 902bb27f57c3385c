"""The web page: a thin face on the views."""
