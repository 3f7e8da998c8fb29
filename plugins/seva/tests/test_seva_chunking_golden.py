"""Chunking, padding and anchor counts against the goldens."""

import pytest
import torch
from goldens import golden, golden_names
from torch import Tensor

from sphinx_framework_seva.chunking import (
    Chunk,
    Frames,
    Member,
    anchor_count,
    chunked,
)


def cases(key: str) -> list[dict]:
    found: list[dict] = golden("seva_chunking").info[key]
    assert found
    return found


def track(places: list[float]) -> Tensor:
    poses = torch.eye(4).repeat(len(places), 1, 1)
    poses[:, 0, 3] = torch.tensor(places)
    return poses


def written(chunk: Chunk) -> list[str]:
    return [f"{'!' if member.given else '>'}{member.index:03d}" for member in chunk]


def parsed(names: list[str]) -> Chunk:
    return tuple(Member(n[0] == "!", int(n[1:])) for n in names if n != "NULL")


def test_chunks_of_every_strategy_match() -> None:
    for case in cases("cases"):
        frames = Frames(
            given=track(case["input_x"]),
            targets=track(case["test_x"]),
            originals=tuple(case["gt_input_inds"]),
            given_order=tuple(map(float, case["input_ords"])),
            target_order=tuple(map(float, case["test_ords"])),
        )
        chunks = chunked(case["strategy"], case["T"], frames)
        expected = [[n for n in chunk if n != "NULL"] for chunk in case["chunks"]]
        assert [written(chunk) for chunk in chunks] == expected, case["name"]


@pytest.mark.parametrize("name", golden_names("seva_chunking_poses*") or ["seva_chunking_poses"])
def test_chunks_of_whole_poses_match(name: str) -> None:
    found = golden(name).info["cases"]
    assert found
    for case in found:
        frames = Frames(
            given=torch.tensor(case["input_c2ws"], dtype=torch.float64),
            targets=torch.tensor(case["test_c2ws"], dtype=torch.float64),
            originals=tuple(case["gt_input_inds"]),
            given_order=tuple(map(float, case["input_ords"])),
            target_order=tuple(map(float, case["test_ords"])),
        )
        chunks = chunked(case["strategy"], case["T"], frames)
        expected = [[n for n in chunk if n != "NULL"] for chunk in case["chunks"]]
        assert [written(chunk) for chunk in chunks] == expected, case["name"]


def test_members_and_their_slots_match() -> None:
    for case in cases("cases"):
        for position, names in enumerate(case["chunks"]):
            chunk = parsed(names)
            for given, key in ((True, "input"), (False, "test")):
                slots = [slot for slot, m in enumerate(chunk) if m.given == given]
                assert slots == case[f"{key}_sels"][position]
                assert [chunk[s].index for s in slots] == case[f"{key}_inds"][position]


def test_anchor_counts_match() -> None:
    for case in cases("infer_prior_stats"):
        options = case["options"]
        anchors, window = anchor_count(
            options["chunk_strategy"],
            case["num_inputs"],
            case["num_targets"],
            case["T"],
            ratio=options.get("num_prior_frames_ratio", 1.0),
        )
        after = case["T_after"]
        assert anchors == case["num_anchors"]
        assert window == (after[0] if isinstance(after, list) else after)
