"""Mistakes that show only sometimes: at odd sizes, in a later frame, call, step or thread."""

import os
import threading
from dataclasses import replace

import torch
from planted_mistakes import Change, crashes, views

from sphinx_framework.samplers import SigmaSampler


def when(condition, change: Change) -> Change:
    """The mistake, only where the arguments are so."""

    def changed(fake, method, state, *given, **named):
        if condition(*given):
            return change(fake, method, state, *given, **named)
        return method(*given, **named)

    return changed


def at_call(number: int, change: Change) -> Change:
    """The mistake, in one call only."""

    def changed(fake, method, state, *given, **named):
        state["call"] = state.get("call", 0) + 1
        if state["call"] == number:
            return change(fake, method, state, *given, **named)
        return method(*given, **named)

    return changed


def answering(change) -> Change:
    """Something else made of the right answer."""
    return lambda fake, method, state, *given, **named: change(method(*given, **named))


broken = answering(lambda answer: answer * float("nan"))
broken_views = views(lambda c: {"images": c.images * float("nan")})


def one_buffer(part=lambda answer: answer, put=lambda answer, buffer: buffer) -> Change:
    """Every answer in the same memory, which the next call writes into."""

    def changed(fake, method, state, *given, **named):
        answer = method(*given, **named)
        values = part(answer)
        buffer = state.setdefault(tuple(values.shape), values.clone())
        buffer.copy_(values)
        return put(answer, buffer)

    return changed


def by_address(tensor) -> Change:
    """What was computed for memory at this address, whatever it holds now."""

    def changed(fake, method, state, *given, **named):
        where = tensor(*given)
        key = (where.data_ptr(), tuple(where.shape))
        if key not in state:
            state[key] = method(*given, **named)
        return state[key]

    return changed


def by_size(fake, encode, state, images):
    """What was computed for photos of this size."""
    if images.shape not in state:
        state[images.shape] = encode(images)
    return state[images.shape].clone()


def by_the_way(*, of: int = 0) -> Change:
    """What it works on is kept on itself in the meantime: another thread's request replaces it.

    The mistake shows when two threads meet in it. Here they always do: the first waits for the
    second, and has lost its own request then.
    """

    def changed(fake, method, state, *given, **named):
        state["given"] = given[of]
        if threading.current_thread() is not threading.main_thread():
            door = state.setdefault("door", threading.Condition())
            with door:
                state["given"] = given[of]
                state["came"] = state.get("came", 0) + 1
                door.notify_all()
                door.wait_for(lambda: state["came"] % 2 == 0, timeout=60)
        return method(*given[:of], state["given"], *given[of + 1 :], **named)

    return changed


def through_numpy(tensor) -> Change:
    def changed(fake, method, state, *given, **named):
        answer = method(*given, **named)
        values = tensor(*given).numpy()
        values *= 0.5
        return answer

    return changed


def through_data(tensor) -> Change:
    def changed(fake, method, state, *given, **named):
        answer = method(*given, **named)
        written = tensor(*given)
        if written is not None:
            written.data.mul_(0.5)
        return answer

    return changed


def with_gradient(answer):
    return answer.clone().requires_grad_()


class Quantity(torch.Tensor):
    """A tensor with ways of its own."""


def changing_folder(fake, method, state, *given, **named):
    answer = method(*given, **named)
    os.chdir("/")
    return answer


def changing_grad_mode(fake, method, state, *given, **named):
    answer = method(*given, **named)
    torch.set_grad_enabled(True)
    return answer


def truth_of(scene, coarse):
    truth = scene.target_images
    return coarse if truth is None else replace(coarse, images=truth.clone())


def peeking(fake, predict, state, scene):
    return truth_of(scene, predict(scene))


def of_the_first(answer):
    """Normalised by the first row."""
    return answer / answer[:1].std().clamp(min=1e-6)


def row(index: int, factor: float):
    """One row of the answer is wrong."""

    def changed(answer):
        answer = answer.clone()
        answer[index : index + 1] *= factor
        return answer

    return answering(changed)


def grid(**methods) -> Change:
    """A sampler of which some methods are ``change(sampler, original, *arguments)``."""

    def changed(fake, make, state, num_steps):
        def bound(name, change):
            def method(self, *given):
                return change(self, getattr(super(Other, self), name), *given)

            return method

        Other = type("Other", (SigmaSampler,), {})
        for name, change in methods.items():
            setattr(Other, name, bound(name, change))
        return Other(torch.tensor(make(num_steps).sigmas, dtype=torch.float64), "euler")

    return changed


def long_jumps_overshoot(sampler, advance, x, denoised, move):
    landed = advance(x, denoised, move)
    far = move.next_step - move.step > 3 and move.next_step == sampler.num_steps
    return 0.9 * landed + 0.1 * x if far else landed


def by_the_batch(sampler, advance, x, denoised, move):
    """Each row's estimate with the mean of all rows that happen to be moved together."""
    return advance(x, denoised + 0.05 * (denoised.mean(0, keepdim=True) - denoised[:1]), move)


def changes_itself(sampler, with_solver, solver):
    sampler.solver = solver
    return sampler


def never_less_than_two(fake, make, state, num_steps):
    return make(max(2, num_steps))


def tall(scene) -> bool:
    return scene.images.shape[-2] > scene.images.shape[-1]


def odd(scene) -> bool:
    return bool(scene.images.shape[-1] % 2 or scene.images.shape[-2] % 2)


def odd_images(images, *_) -> bool:
    return bool(images.shape[-1] % 2)


def nothing_certain(images, opacity=None) -> bool:
    return opacity is not None and float(opacity.max()) == 0


def halving_opacity(fake, score, state, images, opacity=None):
    answer = score(images, opacity)
    if opacity is not None:
        opacity.mul_(0.5)
    return answer


def at_an_input(scene) -> bool:
    return torch.equal(scene.targets.centres[:1], scene.inputs.centres[:1])


@crashes("NoneType.*float")
def needs_a_range(fake, condition, state, scene, *rest):
    return condition(scene, *rest) * (scene.near + 0.0) / scene.near
