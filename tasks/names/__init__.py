"""How names come out of IMDb's tables: who is eligible, who is known best, and the file."""
