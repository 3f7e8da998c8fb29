"""The dial's claims, from figures that a test knows."""

from sphinx_framework.study.evaluate.systems import System
from sphinx_framework.study.report.dial import dial_claims, promise

DIAL = (0.8, 0.95, 1.0)


def system(name, mode, quality=0.95, **changes):
    return System(name=name, family=mode, mode=mode, quality=quality, changes=changes)


SYSTEMS = [
    system("regression", "regression"),
    system("diffusion", "diffusion"),
    system("diffusion, 1 steps", "diffusion", num_steps=1),
    *(system(f"fine {q:g}", "fine", q) for q in DIAL),
]


def scene(seconds, steps, similar, psnr=20.0):
    stages = {f"seconds_{name}": 0.0 for name in ("denoise", "regression")}
    return {
        "seconds": seconds, "seconds_request": seconds, "seconds_least": seconds, **stages,
        "frame_steps": float(steps), "ssim": similar, "gms": similar, "psnr": psnr,
        "features": 1 - similar, "kept": similar, "met": 1.0, "speedup": 10.0 / seconds,
    }  # fmt: skip


def rows(**changes):
    """A dial as it should be, on five scenes; ``changes`` replace a system's."""
    told = {
        "regression": scene(0.1, 0, 0.8, 20),
        "diffusion": scene(10.0, 400, 0.7, 18),
        "diffusion, 1 steps": scene(0.6, 8, 0.85, 21),
        "fine 0.8": scene(0.1, 0, 0.8, 20),
        "fine 0.95": scene(0.5, 6, 0.88, 22),
        "fine 1": scene(0.7, 12, 0.9, 23),
    }
    told |= changes
    return {name: [found] * 5 for name, found in told.items()}


def states(told, objective="truth"):
    return {claim.text: claim.met for claim in dial_claims(told, SYSTEMS, objective)}


def test_a_dial_that_holds_is_said_to_hold():
    assert set(states(rows()).values()) == {True}


def test_a_switch_is_a_dial_of_two_costs_and_one_cost_is_none():
    (text,) = [t for t in states(rows()) if "frame steps" in t]
    flat = {f"fine {q:g}": scene(0.5, 6, 0.9) for q in DIAL}
    assert not states(rows(**flat))[text]
    two = {"fine 0.95": scene(0.1, 0, 0.88)}
    told = {c.text: c.numbers for c in dial_claims(rows(**two), SYSTEMS, "truth")}
    assert "(2 different costs)" in told[text]


def test_each_way_to_fail_is_found():
    def broken(**changes):
        return {text for text, met in states(rows(**changes)).items() if not met}

    assert any("frame steps" in t for t in broken(**{"fine 1": scene(0.7, 2, 0.9, 23)}))
    assert any("seconds" in t for t in broken(**{"fine 1": scene(0.3, 12, 0.9, 23)}))
    assert any("PSNR" in t for t in broken(**{"fine 1": scene(0.7, 12, 0.9, 19)}))
    assert any("keep 0.95" in t for t in broken(**{"fine 0.95": scene(0.5, 6, 0.6, 22)}))
    assert any("front" in t for t in broken(**{"diffusion, 1 steps": scene(0.4, 8, 0.89, 22.5)}))
    assert any("faster" in t for t in broken(**{"fine 0.95": scene(5.0, 6, 0.88, 22)}))


def test_the_share_is_of_the_best_system_or_of_full_diffusions_score():
    told = {c.text: c.numbers for c in dial_claims(rows(), SYSTEMS, "truth")}
    assert "fine 1: at least 90% of scenes keep 1 of the similarity of 'fine 1'" in told
    told = {c.text: c.numbers for c in dial_claims(rows(), SYSTEMS, "paper")}
    assert any("full diffusion's score" in text for text in told)


def test_the_best_is_the_cheapest_of_those_that_three_decimals_do_not_tell_apart():
    def told(similar):
        dear = scene(9.0, 350, similar, 23)
        return {c.text: c for c in dial_claims(rows(diffusion=dear), SYSTEMS, "truth")}

    claim = told(0.9004)["fine 1: at least 90% of scenes keep 1 of the similarity of 'fine 1'"]
    assert claim.met
    assert claim.numbers.endswith(
        "; of 'diffusion', higher in the mean by less than 0.0005 of it, 0%"
    )
    claim = told(0.901)["fine 1: at least 90% of scenes keep 1 of the similarity of 'diffusion'"]
    assert not claim.met
    assert claim.numbers == "0% of 5, 0.999 in the mean, worst 0.999"


def test_shares_of_a_score_are_promised_only_where_the_rules_promise_them():
    def listed(objective):
        return [c.text for c in promise(rows(), SYSTEMS, objective)]

    assert any("mean score ratio" in text for text in listed("paper"))
    assert not any("mean score ratio" in text for text in listed("truth"))
