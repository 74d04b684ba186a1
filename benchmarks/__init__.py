"""Every performance claim as a command, peers in the same run."""
