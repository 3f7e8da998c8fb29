"""Files of scenes with bytes spoiled, or with code in them: refused with their names, or right."""

import json
import random

import pytest
import torch
from scene_formats import WRITERS, llff

from sphinx_framework.errors import SceneError
from sphinx_framework.scenes.load import load_scene
from sphinx_framework.scenes.readers import read_scene


class Runs:
    """What a pickle may hold: a call."""

    def __reduce__(self):
        return print, ("it ran",)


def test_code_in_a_chunk_is_refused_without_advice_to_run_it(tmp_path, capsys):
    torch.save([{"key": "a", "cameras": Runs()}], tmp_path / "000000.torch")
    with pytest.raises(SceneError, match=r"000000\.torch: .*could run code") as caught:
        load_scene(tmp_path)
    assert "weights_only" not in str(caught.value)
    assert capsys.readouterr().out == ""


def refusal(place, options, otherwise):
    """What a scene is refused with, or something else where it is read."""
    try:
        read_scene(place, **options)
    except SceneError as error:
        return str(error)
    return otherwise


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (2, 17), ",  # EOF in a statement
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (2, 17), }}",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999, 17), }",
        b"{'descr': '|O', 'fortran_order': False, 'shape': (2, 17), }",
        b"[1, 2]",
        b"'" * 40,
        b"{'descr': ('<f8', {}), 'fortran_order': False, 'shape': (2, 17)}",
    ],
)
@pytest.mark.parametrize("kind", ["llff", "depth"])
def test_an_array_with_a_damaged_header_is_refused_by_its_file(brought, header, kind):
    folder, poses, clean = brought
    name = "poses_bounds.npy" if kind == "llff" else "d.npy"
    llff(folder, poses)
    if kind == "depth":
        (folder / "poses_bounds.npy").unlink()
        content = json.loads((clean / "transforms.json").read_text())
        content["frames"][0]["depth_file_path"] = name
        (folder / "transforms.json").write_text(json.dumps(content))
    start = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little")
    (folder / name).write_bytes(start + header + bytes(272))
    with pytest.raises(SceneError, match=rf"{name}"):
        load_scene(folder)


@pytest.mark.parametrize("name", ["llff", "re10k", "chunks-with-views", "chunk"])
def test_other_formats_with_bytes_spoiled_are_refused_or_right(brought, name):
    folder, poses, _ = brought
    place, options = WRITERS[name](folder, poses)
    chance = random.Random(7)
    files = [path for path in folder.rglob("*") if path.is_file() and path.parent.name != "images"]
    assert files
    for file in files:
        whole = file.read_bytes()
        for _ in range(5):
            data = bytearray(whole)
            start = chance.randrange(len(data))
            if chance.random() < 0.3:
                del data[start:]
            else:
                data[start : start + 4] = bytes(chance.randrange(256) for _ in range(4))
            file.write_bytes(data)
            assert str(folder) in refusal(place, options, str(folder))
        file.write_bytes(whole)
