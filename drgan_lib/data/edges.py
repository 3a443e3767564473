"""What the border of an image does to the particles that are counted in it."""


def edge_weight(box: tuple[int, int, int, int], shape: tuple[int, int]) -> float:
    """1 / probability that a particle this large, put anywhere in the image, does not touch its border; 0 if it does.

    `box` (top, left, bottom, right) in px, ends excluded, is the particle's, `shape` (height, width) the image's. The
    border is the outermost line of pixels, so that h x w px fit into H x W px at (H - h - 1) (W - w - 1) places. Large
    particles touch it more often than small ones, which the weights undo (Miles 1974, Lantuejoul 1980).
    """
    (top, left, bottom, right), (height, width) = box, shape
    if top == 0 or left == 0 or bottom == height or right == width:
        return 0.0
    return height * width / ((height - (bottom - top) - 1) * (width - (right - left) - 1))
