"""The sheet shows where a request looked, and nothing that it did not use."""

from dataclasses import replace

from PIL import Image

from sphinx_framework.output.contact_sheet import CELL, MARGIN, write_contact_sheet


def height(path, result, mode):
    told = result.report.model_copy(update={"mode": mode})
    write_contact_sheet(path, replace(result, report=told))
    with Image.open(path) as sheet:
        return sheet.height


def test_masks_are_shown_by_the_mode_that_looks_at_them(result, tmp_path):
    whole = height(tmp_path / "fine.png", result, "fine")
    tiles = height(tmp_path / "selective.png", result, "selective")
    rows, columns = result.images.shape[-2:]
    assert tiles - whole == round(rows * CELL / max(rows, columns)) + MARGIN
