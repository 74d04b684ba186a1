"""Image-to-image heads, their discriminator, losses and folders."""
