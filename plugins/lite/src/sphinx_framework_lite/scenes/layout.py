"""Draws a world from a seed: a room or an outdoor shell, objects, occluders, rods and posters."""

import numpy as np
import numpy.typing as npt

from sphinx_framework_lite.scenes.world import FACES, Floats, Light, Primitive, World

Generator = np.random.Generator

BOX, SPHERE, CYLINDER, ROOM, SKY, GROUND = 0, 1, 2, 3, 4, 5


def _rotation(yaw: float, pitch: float = 0.0, roll: float = 0.0) -> Floats:
    """Rows are the local axes: yaw about y, then pitch about x, then roll about z."""
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    cr, sr = np.cos(roll), np.sin(roll)
    about_y = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    rows: Floats = about_z @ about_x @ about_y
    return rows


class _Draw:
    """The random choices that every primitive shares."""

    def __init__(self, rng: Generator, textures: int) -> None:
        self.rng = rng
        self.textures = textures

    def surface(self) -> tuple[str, int]:
        return ("surface", int(self.rng.integers(self.textures)))

    def poster(self) -> tuple[str, int]:
        return ("poster", int(self.rng.integers(self.textures)))

    def primitive(
        self,
        kind: int,
        centre: npt.ArrayLike,
        half: npt.ArrayLike,
        *,
        axes: Floats | None = None,
        textures: tuple[tuple[str, int], ...] | None = None,
        repeats: npt.ArrayLike | None = None,
        specular: float = 0.0,
    ) -> Primitive:
        rng = self.rng
        scale = np.exp(rng.uniform(np.log(0.35), np.log(1.3))) if repeats is None else repeats
        return Primitive(
            kind=kind,
            centre=np.asarray(centre, np.float64),
            axes=np.eye(3) if axes is None else axes,
            half=np.asarray(half, np.float64),
            textures=textures or (self.surface(),),
            repeats=np.broadcast_to(np.asarray(scale, np.float64), (FACES,)).copy(),
            offset=rng.random(2),
            specular=specular,
        )

    def gloss(self) -> float:
        """Highlights on a third of the objects: they move with the camera, matching cannot."""
        return float(self.rng.uniform(0.3, 0.9)) if self.rng.random() < 0.35 else 0.0


def _shell(draw: _Draw, floor: float) -> tuple[list[Primitive], Light, float]:
    """Room or outdoor shell, its light and the distance of its back."""
    rng = draw.rng
    if rng.random() < 0.58:
        half = np.array([rng.uniform(2.2, 4.5), rng.uniform(1.1, 1.7), rng.uniform(3.0, 5.0)])
        back = float(rng.uniform(4.2, 7.5))
        centre = np.array([rng.uniform(-0.8, 0.8), floor - half[1], back - half[2]])
        wall = draw.surface()
        walls = tuple(wall if rng.random() < 0.5 else draw.surface() for _ in range(FACES))
        room = draw.primitive(
            ROOM,
            centre,
            half,
            axes=_rotation(rng.uniform(-0.35, 0.35)),
            textures=walls,
            repeats=np.exp(rng.uniform(np.log(0.25), np.log(0.9), FACES)),
        )
        lamp = centre + half * np.array([rng.uniform(-0.6, 0.6), -0.8, rng.uniform(-0.7, 0.3)])
        light = Light(
            position=lamp,
            ambient=float(rng.uniform(0.45, 0.7)),
            strength=float(rng.uniform(0.3, 0.6)),
            directional=False,
            shadows=bool(rng.random() < 0.7),
        )
        return [room], light, back
    radius = float(rng.uniform(9, 22))
    sky = draw.primitive(
        SKY,
        (0, floor - 0.1, 0),
        (radius, radius, radius),
        textures=(("sky", int(rng.integers(draw.textures))),),
        repeats=rng.uniform(0.6, 1.3) * 3 / (2 * np.pi * radius),
    )
    ground = draw.primitive(GROUND, (0, floor, 0), (1, 1, 1), repeats=rng.uniform(0.2, 0.7))
    light = Light(
        position=np.array([rng.uniform(-1, 1), -rng.uniform(0.6, 1.5), rng.uniform(-1, 0.5)]),
        ambient=float(rng.uniform(0.4, 0.65)),
        strength=float(rng.uniform(0.4, 0.7)),
        directional=True,
        shadows=bool(rng.random() < 0.7),
    )
    return [sky, ground], light, float(rng.uniform(5.5, 9.0))


def _object(draw: _Draw, floor: float, back: float) -> Primitive:
    rng = draw.rng
    z = float(rng.uniform(1.9, 0.92 * back))
    x = float(rng.uniform(-0.55, 0.55) * z)
    kind = rng.random()
    floating = rng.random() < 0.22
    if kind < 0.5:
        half = np.exp(rng.uniform(np.log(0.15), np.log(0.75), 3)) * (0.6 + z / 10)
        y = float(rng.uniform(-0.9, 0.3)) if floating else floor - half[1]
        roll = rng.uniform(-0.6, 0.6) if floating else 0.0
        axes = _rotation(rng.uniform(0, np.pi), roll, roll)
        faces = tuple(draw.surface() for _ in range(FACES)) if rng.random() < 0.4 else None
        return draw.primitive(
            BOX, (x, y, z), half, axes=axes, textures=faces, specular=draw.gloss()
        )
    if kind < 0.75:
        radius = float(np.exp(rng.uniform(np.log(0.18), np.log(0.65)))) * (0.6 + z / 10)
        y = float(rng.uniform(-0.9, 0.3)) if floating else floor - radius
        axes = _rotation(rng.uniform(0, 6.28), rng.uniform(-1, 1))
        return draw.primitive(SPHERE, (x, y, z), (radius,) * 3, axes=axes, specular=draw.gloss())
    thin = rng.random() < 0.6
    radius = float(rng.uniform(0.025, 0.08) if thin else rng.uniform(0.15, 0.45))
    length = float(rng.uniform(0.5, 1.3))
    upright = rng.random() < 0.7
    tilt = np.pi / 2 + (0.0 if upright else rng.uniform(-1.0, 1.0))
    y = floor - length if upright else float(rng.uniform(-0.6, 0.4))
    axes = _rotation(rng.uniform(0, np.pi), tilt)
    pillar = (radius, radius, length)
    return draw.primitive(CYLINDER, (x, y, z), pillar, axes=axes, specular=draw.gloss())


def _poster(draw: _Draw, back: float) -> Primitive:
    rng = draw.rng
    half = np.array([rng.uniform(0.3, 0.9), rng.uniform(0.3, 0.7), 0.02])
    z = float(back - rng.uniform(0.05, 0.9))
    centre = (rng.uniform(-0.45, 0.45) * z, rng.uniform(-0.8, 0.2), z)
    repeats = 1 / (2 * half.max())
    axes = _rotation(rng.uniform(-0.5, 0.5))
    return draw.primitive(BOX, centre, half, axes=axes, textures=(draw.poster(),), repeats=repeats)


def _occluder(draw: _Draw) -> Primitive:
    """Something close to the cameras that hides different things from each of them."""
    rng = draw.rng
    z = float(rng.uniform(1.25, 1.9))
    side = 1.0 if rng.random() < 0.5 else -1.0
    x = side * float(rng.uniform(0.15, 0.6)) * z
    if rng.random() < 0.5:
        rod = (float(rng.uniform(0.02, 0.12)), 0.0, float(rng.uniform(0.8, 2.0)))
        axes = _rotation(0.0, np.pi / 2 + rng.uniform(-0.5, 0.5), 0.0)
        return draw.primitive(CYLINDER, (x, 0.2, z), rod, axes=axes, specular=draw.gloss())
    half = rng.uniform(0.08, 0.3, 3)
    axes = _rotation(rng.uniform(0, np.pi), rng.uniform(-0.4, 0.4))
    return draw.primitive(
        BOX, (x, rng.uniform(-0.4, 0.6), z), half, axes=axes, specular=draw.gloss()
    )


def draw_world(rng: Generator, family: int, textures: int) -> tuple[World, float]:
    """Draw a world; also returns the distance of its back, a scale for the camera path.

    family, textures: the seed family and number of textures to choose from (one per split).
    """
    draw = _Draw(rng, textures)
    floor = float(rng.uniform(0.75, 1.25))
    primitives, light, back = _shell(draw, floor)
    primitives += [_object(draw, floor, back) for _ in range(int(rng.integers(3, 10)))]
    primitives += [_poster(draw, back) for _ in range(int(rng.integers(0, 4)))]
    if rng.random() < 0.4:
        primitives.append(_occluder(draw))
    return World(primitives, light, family), back
