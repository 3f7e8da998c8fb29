"""Straight lines of things that are built, or not, in a photo with a known focal length."""

import cv2
import numpy as np

SIDE, HEIGHT = 640, 360
RIGHT_ANGLED = np.eye(3)


def turn(yaw, pitch, roll):
    """The camera's rotation, in degrees about y, then x, then z."""
    about = zip(np.eye(3)[[2, 0, 1]], (roll, pitch, yaw), strict=True)
    rolled, pitched, yawed = (cv2.Rodrigues(axis * np.radians(angle))[0] for axis, angle in about)
    return rolled @ pitched @ yawed


def turned_at_random(random):
    """A camera that looks at a corner, held about level."""
    return turn(random.uniform(15, 45), random.uniform(-15, 15), random.uniform(-4, 4))


def any_focal(random):
    """Between 40 and 90 degrees wide."""
    return SIDE / 2 / np.tan(np.radians(random.uniform(40, 90)) / 2)


def segments(directions, focal, random, *, count=200, stray=0.1, noise=0.5):
    """Ends ``(x, y, x, y)``, from the centre, of lines in front of a camera; some of any direction.

    directions: rows, in the camera. noise: standard deviation of every end, pixels.
    """
    half = np.array([SIDE, HEIGHT]) / 2
    found = []
    while len(found) < count:
        depth = random.uniform(2, 8)
        begin = np.array([*random.uniform(-half, half) / focal * depth, depth])
        way = directions[random.integers(len(directions))]
        if random.random() < stray:
            way = random.normal(size=3)
            way /= np.linalg.norm(way)
        end = begin + way * random.uniform(0.3, 2.5) * random.choice([-1, 1])
        if end[2] < 0.5:
            continue
        one, other = (point[:2] / point[2] * focal for point in (begin, end))
        if (np.abs(other) < half).all() and np.hypot(*(other - one)) > 20:
            found.append(np.concatenate([one, other]) + random.normal(0, noise, 4))
    return np.array(found)


def drawn(focal, rotation, seed):
    """A photo of boxes' edges that stand at right angles, ``[H, W, 3]`` uint8."""
    random = np.random.default_rng(seed)
    photo = np.full((HEIGHT, SIDE, 3), 230, np.uint8)
    ends = segments(RIGHT_ANGLED @ rotation.T, focal, random, count=90, stray=0, noise=0)
    # Pixel (0, 0) has its middle half a pixel into the photo; cv2 draws in sixteenths.
    ends = ends + np.array([SIDE, HEIGHT] * 2) / 2 - 0.5
    for line in np.round(ends * 16).astype(int):
        ink = tuple(int(value) for value in random.integers(0, 90, 3))
        cv2.line(photo, line[:2], line[2:], ink, 2, cv2.LINE_AA, 4)
    return photo
