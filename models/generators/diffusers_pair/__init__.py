"""Any text-to-image and image-to-image pair of diffusers pipelines as a generator."""
