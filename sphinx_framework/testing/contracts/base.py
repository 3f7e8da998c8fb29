"""What every contract suite shares: scenes of several kinds, and checks whose failures teach."""

import pickle
import random
import unittest
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from sphinx_framework.engine import handed
from sphinx_framework.errors import InputError
from sphinx_framework.testing.contracts.building import process_settings, watched_making
from sphinx_framework.testing.contracts.guard import guarded
from sphinx_framework.testing.fakes import FakeConfig, FakeRegression
from sphinx_framework.testing.scenes import moved_world, track_scene
from sphinx_framework.types import Cameras, CoarseViews, Scene
from sphinx_framework.witness.randomness import kept_randomness

Value = TypeVar("Value", bound=Tensor | None)

GUIDE = "docs/writing-a-plugin.md"
NETWORK_TYPES = (torch.float32, torch.float16, torch.bfloat16)


class NotApplicable(unittest.SkipTest):
    """The component does not claim what this method checks (test runners count it as skipped)."""


class ComplaintError(AssertionError):
    """What a suite says of a component, and no assertion of the component's own."""


class Contract:
    """Sizes that a component may override where the defaults are illegal for it.

    device: where the component was built; everything that a suite hands over lies there.
    any_size: whether the role is asked about images whose sides are multiples of nothing.
    changed: what the making of the component changed for everybody, where it was made before the
        suite (see :func:`~sphinx_framework.testing.contracts.building.watched_making`).
    """

    size: tuple[int, int] = (64, 64)
    inputs: int = 2
    targets: int = 3
    device: torch.device = torch.device("cpu")
    any_size: bool = True
    changed: Sequence[str] | None = None
    paragraph: str = "Prove it"

    def __init_subclass__(cls, **named: Any) -> None:
        """Checks ask as the engine does: without gradients, and whatever they ask is watched."""
        super().__init_subclass__(**named)
        for name, method in list(vars(cls).items()):
            if name.startswith("test_"):
                setattr(cls, name, torch.no_grad()(method))
        make = vars(cls).get("make")
        if make is not None:
            cls.make = _made(make)  # type: ignore[method-assign, assignment]

    def make(self) -> Any:
        """Build the component under test."""
        raise NotApplicable("make() builds the component under test")

    def test_making_it_changes_nothing_for_others(self) -> None:
        changed = self.changed
        if changed is None:
            with watched_making() as changed:
                self.make()
        self.expect(
            not changed,
            "a component whose making seeds no global generator (torch.Generator, or "
            "torch.random.fork_rng) and leaves the settings of the process alone",
            f"one that changes: {', '.join(changed)}",
        )

    def scene(
        self,
        seed: int = 0,
        *,
        targets: int | None = None,
        inputs: int | None = None,
        size: tuple[int, int] | None = None,
    ) -> Scene:
        """Smooth photos from turned cameras on a bent track, principal points off the centre."""
        made = track_scene(
            self.targets if targets is None else targets,
            self.inputs if inputs is None else inputs,
            size or self.size,
            seed,
        )
        return made.to(self.device)

    def coarse(self, scene: Scene, *, opacity: bool = True) -> CoarseViews:
        """Coarse views of it with a hole in the opacity, or without any opacity."""
        made = FakeRegression(FakeConfig(), self.device).predict(scene)
        return made if opacity else replace(made, opacity=None)

    def with_truth(self, scene: Scene) -> Scene:
        """The same scene with pictures that are its truth."""
        shape = (len(scene.targets), *scene.images.shape[1:])
        truth = torch.rand(shape, generator=torch.Generator().manual_seed(0))
        return replace(scene, target_images=truth.to(self.device))

    def elsewhere(self, scene: Scene) -> Scene:
        """The same scene in a world frame that is turned and shifted: nothing visible changes."""
        return moved_world(scene)

    def expect(self, holds: object, expected: str, came: object) -> None:
        """Raise :class:`ComplaintError`: what was expected, what came, and where to read on."""
        if not bool(holds):
            raise ComplaintError(f"expected {expected}; got {came} ({GUIDE}, {self.paragraph!r})")

    def expect_shape(self, tensor: Any, shape: tuple[int, ...], what: str) -> None:
        """A floating-point tensor of this shape, on the device, without NaN or infinity."""
        self.expect_tensor(tensor, what)
        self.expect(
            tuple(tensor.shape) == shape, f"{what} of shape {shape}", f"shape {tuple(tensor.shape)}"
        )
        self.expect(
            tensor.dtype in NETWORK_TYPES, f"{what} in float32 or less", f"{what} in {tensor.dtype}"
        )
        self.expect(torch.isfinite(tensor).all(), f"finite {what}", "NaN or infinity")

    def expect_tensor(self, tensor: Any, what: str) -> None:
        """A plain tensor on the device where the component was built, index included."""
        self.expect(isinstance(tensor, Tensor), f"{what} as a tensor", type(tensor).__name__)
        self.expect(_plain(tensor), f"{what} as a plain tensor", type(tensor).__name__)
        self.expect(not tensor.requires_grad, f"{what} without gradients", "requires_grad")
        wanted = torch.empty(0, device=self.device).device
        self.expect(tensor.device == wanted, f"{what} on {wanted}", f"{what} on {tensor.device}")

    def expect_valid(self, what: str, value: Scene | Cameras) -> None:
        """A scene, or cameras, that the engine would take."""
        try:
            if isinstance(value, Scene):
                value.validate()
            else:
                value.validate(what)
        except InputError as problem:
            self.expect(False, f"valid {what}", problem)

    def expect_texts(self, texts: Any, what: str) -> None:
        """A tuple of sentences, for users to read."""
        self.expect(
            isinstance(texts, tuple | list) and all(isinstance(text, str) for text in texts),
            f"{what} as a tuple of sentences",
            repr(texts)[:80],
        )

    def expect_range(self, tensor: Tensor, low: float, high: float, what: str) -> None:
        """All values in ``[low, high]``, with a tolerance of 1e-4."""
        least, most = float(tensor.min()), float(tensor.max())
        self.expect(
            low - 1e-4 <= least and most <= high + 1e-4,
            f"{what} in [{low:g}, {high:g}]",
            f"[{least:.4g}, {most:.4g}]",
        )

    @contextmanager
    def leaves_alone(self, **tensors: Tensor | None) -> Iterator[None]:
        """Neither writes into the named tensors nor changes what the process shares.

        That is: random states, torch's settings, numpy's handling of errors, the current folder,
        the root logger, and Ctrl-C.
        """
        before = {name: t.clone() for name, t in tensors.items() if t is not None}
        settings = process_settings()
        with _random_states_of_its_own() as states:
            try:
                yield
            except Exception:
                self._expect_settings(settings)  # they may be why
                raise
            came = _global_random_states()
        for name, copy in before.items():
            kept = tensors[name]
            assert kept is not None
            self.expect(
                _same(kept, copy), f"{name} to be left as it was", "values written in place"
            )
        self.expect(
            came == states,
            "a generator of the component's own (torch.Generator)",
            "a changed global random state",
        )
        self._expect_settings(settings)

    def _expect_settings(self, settings: Mapping[str, object]) -> None:
        for name, value in process_settings().items():
            self.expect(
                value == settings[name],
                f"the settings of the process left alone ({name}: {settings[name]})",
                value,
            )

    def variations(self) -> Iterator[Scene]:
        """The default scene, then other counts and a size that is not square.

        A component may refuse a variation with an ``InputError``; see :meth:`or_refused`.
        """
        height, width = self.size
        yield self.scene(0)
        yield self.scene(1, targets=1)
        yield self.scene(2, targets=self.targets + 2, inputs=self.inputs + 1)
        yield self.scene(3, size=(height, width + width // 2))
        upright = self.scene(4, size=(height + height // 2, width))
        yield replace(upright, near=None, far=None, order=None)
        yield self.scene(6, inputs=1)
        if self.any_size:
            yield self.scene(5, size=(height - 3, width + 5))

    @contextmanager
    def or_refused(self, scene: Scene, *, longer: bool = False) -> Iterator[None]:
        """Let a component refuse what differs from the suite's own counts and size.

        One photo, and sides that no network has, are rare: there it may raise anything, as the
        engine then names it; only a wrong answer would be served.
        """
        rare = len(scene.inputs) == 1 or any(side % 8 for side in scene.images.shape[-2:])
        usual = not longer and (len(scene.inputs), tuple(scene.images.shape[-2:])) == (
            self.inputs,
            self.size,
        )
        try:
            yield
        except (AssertionError, NotApplicable):
            raise
        except Exception as error:
            if usual or not (rare or isinstance(error, InputError)):
                raise


def _made(make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """``make`` of a suite, whose component may touch nothing that is not its own."""

    @wraps(make)
    def made(suite: Contract) -> Any:
        return guarded(make(suite), suite.leaves_alone)

    return made


def _same(now: Tensor, before: Tensor) -> bool:
    """The same values, also where they are no numbers."""
    if now.shape != before.shape or now.dtype != before.dtype:
        return False
    return bool(((now == before) | ((now != now) & (before != before))).all())


def _plain(tensor: Tensor) -> bool:
    """A tensor of torch's own; or one of a backend, which dispatches for itself."""
    kind = type(tensor)
    return kind in (Tensor, torch.nn.Parameter) or "__torch_dispatch__" in vars(kind)


def _global_random_states() -> tuple[bytes, ...]:
    """States of the global generators of torch, numpy and Python."""
    torch_state = torch.random.get_rng_state().numpy().tobytes()
    return (torch_state, pickle.dumps(np.random.get_state()), pickle.dumps(random.getstate()))


@contextmanager
def _random_states_of_its_own() -> Iterator[tuple[bytes, ...]]:
    """Global generators in a state that no seed gives, so that a seeding shows; put back after."""
    with kept_randomness():
        torch.rand(1)
        np.random.random()
        random.random()
        yield _global_random_states()


def scene_tensors(scene: Scene) -> dict[str, Tensor]:
    """The tensors of a scene by the names that a failure shows."""
    return _the(handed.scene_tensors(scene))


def coarse_tensors(coarse: CoarseViews) -> dict[str, Tensor | None]:
    """The tensors of coarse views by the names that a failure shows."""
    return _the(handed.coarse_tensors(coarse))


def _the(tensors: Mapping[str, Value]) -> dict[str, Value]:
    return {f"the {name.replace('_', ' ')}": t for name, t in tensors.items()}
