"""A seeded painter of invented portraits, in vectorised numpy. It knows no weights and no model."""
