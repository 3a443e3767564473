"""Large images in tiles."""
