"""Who seems to be in a picture: DeepFace's own models, called in batches and offline."""
