import io
import json
import struct
import tarfile
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sphinx_framework.serve.archive_members import Limits
from sphinx_framework.serve.archive_names import Names, check_name, wanted
from sphinx_framework.serve.archives import LARGEST_JSON, unpack
from sphinx_framework.serve.problems import Problem

LIMITS = Limits(entries=50, unpacked_bytes=6_000_000)
SCENE = {"transforms.json": b"{}", "images/0.png": b"not looked at here"}


def zipped(files, method=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def tarred(files, mode="w", extra=()):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info in extra:
            archive.addfile(info)
    return out.getvalue()


@pytest.fixture
def unpacked(tmp_path):
    def run(data):
        (tmp_path / "archive").write_bytes(data)
        top = unpack(tmp_path / "archive", tmp_path / "scene", LIMITS)
        found = sorted((tmp_path / "scene").rglob("*"))
        names = [p.relative_to(tmp_path / "scene").as_posix() for p in found if p.is_file()]
        return top, names

    return run


@pytest.mark.parametrize("make", [zipped, tarred, lambda files: tarred(files, "w:gz")])
def test_a_scene_comes_out_of_every_kind_of_archive(unpacked, make):
    assert unpacked(make(SCENE)) == ("", ["images/0.png", "transforms.json"])


def test_the_one_top_folder_is_left_out_and_named(unpacked):
    nested = {f"my scene/{name}": data for name, data in SCENE.items()}
    assert unpacked(zipped(nested)) == ("my scene", ["images/0.png", "transforms.json"])


def test_what_no_scene_needs_is_skipped(unpacked):
    extra = {"__MACOSX/x.json": b"x", ".hidden.png": b"x", "model.bin": b"x", "a.py": b"x"}
    assert unpacked(zipped({**SCENE, **extra}))[1] == ["images/0.png", "transforms.json"]


BAD_NAMES = [
    "../x.png",
    "images/../../x.png",
    "/x.png",
    "C:/x.png",
    "a\\x.png",
    "a/\x01.png",
    "/".join("abcdefghij") + ".png",
    "x" * 250 + ".png",
]


@pytest.mark.parametrize("name", BAD_NAMES)
@pytest.mark.parametrize("make", [zipped, tarred])
def test_a_name_that_could_lead_elsewhere_refuses_the_whole(unpacked, tmp_path, make, name):
    with pytest.raises(Problem) as error:
        unpacked(make({**SCENE, name: b"x"}))
    assert error.value.name == "archive-unsafe"
    assert not list(tmp_path.parent.glob("x.png"))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
)
def test_links_and_devices_are_refused(unpacked, kind):
    info = tarfile.TarInfo("images/1.png")
    info.type, info.linkname = kind, "transforms.json"
    with pytest.raises(Problem) as error:
        unpacked(tarred(SCENE, extra=[info]))
    assert error.value.name == "archive-unsafe"


def test_a_symbolic_link_in_a_zip_is_refused(unpacked):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo("images/1.png")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(Problem, match="link"):
        unpacked(out.getvalue())


@pytest.mark.parametrize(
    "pair", [("a.png", "A.PNG"), ("a.png", "a.png/b.png"), ("a.png/b.png", "a.png")]
)
def test_names_that_clash_are_refused(pair):
    names = Names()
    names.add(pair[0], folder=False)
    with pytest.raises(Problem):
        names.add(pair[1], folder=False)


def test_a_local_header_with_another_name_is_refused(unpacked):
    data = zipped({**SCENE, "images/a.png": b"x"}).replace(b"images/a.png", b"images/b.png", 1)
    with pytest.raises(Problem) as error:
        unpacked(data)
    assert error.value.name == "archive-unsafe"


def test_an_encrypted_member_is_refused(unpacked):
    data = bytearray(zipped(SCENE))
    at = data.find(b"PK\x01\x02")
    struct.pack_into("<H", data, at + 8, 1)
    with pytest.raises(Problem, match="encrypted"):
        unpacked(bytes(data))


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (zipped, "images/1.png"),
        (lambda files: tarred(files, "w:gz"), "images/1.png"),
        (lambda files: tarred(files, "w:gz"), "skipped.bin"),  # a zip's are never opened
    ],
)
def test_bytes_are_counted_while_they_come_out(unpacked, make, name):
    with pytest.raises(Problem) as error:
        unpacked(make({**SCENE, name: b"\0" * 9_000_000}))
    assert error.value.name == "upload-too-large"


@pytest.mark.parametrize("make", [zipped, tarred])
def test_too_many_members_are_refused(unpacked, make):
    with pytest.raises(Problem) as error:
        unpacked(make({**SCENE, **{f"{i}.txt": b"" for i in range(60)}}))
    assert error.value.name == "upload-too-large"


def test_a_stated_directory_that_is_huge_is_refused_unread(unpacked):
    data = bytearray(zipped(SCENE))
    struct.pack_into("<I", data, data.rfind(b"PK\x05\x06") + 12, 1 << 30)
    with pytest.raises(Problem) as error:
        unpacked(bytes(data))
    assert error.value.name == "upload-too-large"


def test_json_files_have_their_own_limit(unpacked):
    with pytest.raises(Problem, match="4 MiB"):
        unpacked(zipped({"transforms.json": b" " * (LARGEST_JSON + 1)}))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        zipped({}),
        zipped({"a.json": b"{}"}),
        zipped(SCENE)[:-40],
        tarred(SCENE)[:900],
        tarred(SCENE, "w:gz")[:60],
        zipped({f"{d}/transforms.json": b"{}" for d in "ab"}),
        zipped({"a/b/transforms.json": b"{}"}),
    ],
    ids=range(9),  # a gzip holds the time: its bytes as a name would differ between test processes
)
def test_what_is_not_one_scene_is_refused(unpacked, data):
    with pytest.raises(Problem) as error:
        unpacked(data)
    assert error.value.name == "scene-invalid"


@given(st.binary(max_size=200), st.integers(0, 400))
def test_a_damaged_zip_is_a_problem_and_nothing_else(tmp_path_factory, noise, at):
    data = bytearray(zipped(SCENE))
    data[at : at + len(noise)] = noise
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "archive").write_bytes(data)
    try:
        unpack(folder / "archive", folder / "scene", LIMITS)
    except Problem as problem:
        json.dumps(problem.document()).encode()


@given(st.text(max_size=60))
def test_a_checked_name_stays_below_its_folder(name):
    try:
        bare = check_name(name)
    except Problem:
        return
    assert not bare.startswith("/")
    assert ".." not in bare.split("/")
    assert wanted(bare) in (True, False)


def test_a_tar_whose_checksum_is_wrong_is_damaged(unpacked):
    data = bytearray(tarred(SCENE, "w:gz"))
    data[-8] ^= 1  # of the stream's CRC, behind the last member
    with pytest.raises(Problem, match="damaged"):
        unpacked(bytes(data))


def test_a_zip_behind_something_else_is_damaged(unpacked):
    """It would be two archives at once: readers that start at the front see another one."""
    with pytest.raises(Problem, match="damaged"):
        unpacked(zipped({"transforms.json": b"[]"}) + zipped(SCENE))


def test_names_that_differ_in_their_unicode_form_only_are_equal():
    names = Names()
    names.add("caf\N{LATIN SMALL LETTER E WITH ACUTE}.png", folder=False)
    with pytest.raises(Problem, match="occurs twice"):
        names.add("cafe\N{COMBINING ACUTE ACCENT}.png", folder=False)
