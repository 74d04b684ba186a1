"""What people choose: studies, their page, rankings, and which numbers agree."""
