import numpy as np
import pytest
import torch
from PIL import Image
from scene_folders import gradient

from sphinx_framework.errors import SceneError
from sphinx_framework.scenes.images import read_image, to_uint8, write_png


def test_a_written_png_reads_back_to_the_nearest_byte(tmp_path):
    image = torch.rand(3, 5, 7, generator=torch.Generator().manual_seed(0))
    write_png(tmp_path / "a.png", image)
    assert (read_image(tmp_path / "a.png") - image).abs().max() <= 0.5 / 255 + 1e-6


def test_bytes_are_rounded_and_clamped():
    values = torch.tensor([-1.0, 0.0, 0.4999 / 255, 0.5001 / 255, 1.0, 2.0])
    assert to_uint8(values).tolist() == [0, 0, 0, 1, 255, 255]


def test_the_exif_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # The camera was turned: the stored top is the right side.
    stored = Image.fromarray(gradient(4, 8))
    stored.save(tmp_path / "turned.png", exif=exif)
    upright = torch.from_numpy(gradient(4, 8).copy()).permute(2, 0, 1).rot90(-1, dims=(1, 2))
    assert torch.equal(to_uint8(read_image(tmp_path / "turned.png")), upright)


def test_transparency_is_composited_over_white(tmp_path):
    pixels = np.zeros((1, 3, 4), dtype=np.uint8)
    pixels[0, :, 0] = 255
    pixels[0, :, 3] = [0, 51, 255]
    Image.fromarray(pixels).save(tmp_path / "alpha.png")
    green = read_image(tmp_path / "alpha.png")[1, 0]
    torch.testing.assert_close(green, torch.tensor([1.0, 0.8, 0.0]))


def test_sixteen_bit_grey_keeps_its_depth(tmp_path):
    values = np.array([[0, 1, 32768, 65535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    expected = torch.from_numpy(values.astype(np.float32) / 65535)
    torch.testing.assert_close(read_image(tmp_path / "deep.png"), expected.expand(3, 1, 4))


def test_a_palette_with_a_transparent_colour_is_read(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "palette.png", transparency=0)
    assert to_uint8(read_image(tmp_path / "palette.png"))[:, 0].T.tolist() == [
        [255, 255, 255],
        [40, 50, 60],
    ]


@pytest.mark.parametrize("mode", ["L", "1", "CMYK", "LA", "YCbCr", "RGBA"])
def test_every_colour_mode_becomes_three_channels_in_range(tmp_path, mode):
    path = tmp_path / "image.tiff"
    Image.fromarray(gradient(6, 5)).convert(mode).save(path)
    image = read_image(path)
    assert image.shape == (3, 6, 5)
    assert image.dtype == torch.float32
    assert 0 <= float(image.min()) <= float(image.max()) <= 1


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SceneError, match=r"absent\.png: no such image file"):
        read_image(tmp_path / "absent.png")


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "webp", "tiff"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_a_truncated_file_is_named(tmp_path, suffix, share):
    path = tmp_path / f"cut.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(SceneError, match=rf"cut\.{suffix}: cannot be read as an image"):
        read_image(path)


def test_text_and_folders_are_no_images(tmp_path):
    (tmp_path / "note.png").write_text("hello")
    for name in ("note.png", "."):
        with pytest.raises(SceneError, match="cannot be read as an image"):
            read_image(tmp_path / name)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([[0.0, 128.0, 255.0]], r"odd.tiff: holds values from 0 to 255; .* within 0 and 1\."),
        ([[-0.5, 0.0, 1.0]], r"odd.tiff: holds values from -0.5 to 1"),
        ([[0.0, float("nan"), 1.0]], r"odd.tiff: holds NaN or infinity"),
        ([[0, 1, 70000]], r"odd.tiff: holds values from 0 to 70000; .* within 0 and 65535\."),
        ([[0, 1, 255]], r"odd.tiff: holds 32-bit numbers of at most 255: .* nearly black\?"),
    ],
)
def test_numbers_of_another_scale_are_named_and_never_clipped(tmp_path, values, says):
    kind = np.int32 if isinstance(values[0][-1], int) else np.float32
    Image.fromarray(np.array(values, dtype=kind)).save(tmp_path / "odd.tiff")
    with pytest.raises(SceneError, match=says) as caught:
        read_image(tmp_path / "odd.tiff")
    assert caught.value.hint == "Export it as 8 or 16 bits."


def test_floats_of_a_photo_are_read_as_they_are(tmp_path):
    values = np.array([[0.0, 0.25, 1.0004]], dtype=np.float32)
    Image.fromarray(values).save(tmp_path / "float.tiff")
    assert read_image(tmp_path / "float.tiff")[0].tolist() == [[0.0, 0.25, 1.0]]
