"""The verbs a person types, one module each. They wire the other rooms together."""
