"""How long a picture takes, and what that makes of a head."""
