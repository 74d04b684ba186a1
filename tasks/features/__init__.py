"""What an evaluation sees in pictures: networks, where pictures lie, what is kept."""
