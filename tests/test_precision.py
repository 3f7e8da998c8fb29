"""Precision of products is read and put back through both of torch's interfaces.

Each case has a process of its own: what one interface has set, the other may refuse to tell for the
rest of it.
"""

import subprocess
import sys

import pytest
import torch

HOSTS = {
    "nothing": "pass",
    "the newer one": "torch.backends.cuda.matmul.fp32_precision = 'tf32'",
    "the newer one, everywhere": "torch.backends.fp32_precision = 'tf32'",
    "the newer one, of cuDNN": "torch.backends.cudnn.fp32_precision = 'ieee'",
    "the older one": "torch.set_float32_matmul_precision('high')",
}
CHANGES = {
    **HOSTS,
    "flags": "torch.backends.cuda.matmul.allow_tf32 = True",
    "flags of cuDNN": "torch.backends.cudnn.allow_tf32 = False",
}
CODE = """
import torch
from sphinx_framework.witness.precision import Precision, allow_tf32
{host}
before = Precision.now()
try:
    {change}
except RuntimeError:
    pass
changed = Precision.now() != before
before.put_back()
assert Precision.now().newer == before.newer, Precision.now()
allow_tf32()
matmul = dict(Precision.now().newer).get("cuda.matmul", "tf32")
assert matmul == "tf32", matmul
before.put_back()
assert Precision.now().newer == before.newer, Precision.now()
print(changed)
"""
newer = pytest.mark.skipif(
    not hasattr(torch.backends.cuda.matmul, "fp32_precision"), reason="torch has one interface"
)


@newer
@pytest.mark.parametrize("host", HOSTS)
def test_whoever_changes_it_by_either_interface_it_is_put_back(host):
    for change in CHANGES.values():
        code = CODE.format(host=HOSTS[host], change=change)
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert ended.returncode == 0, (change, ended.stderr[-600:])
        assert ended.stdout.strip() in ("True", "False")


RENDER = """
import torch
{host}
from sphinx_framework.testing.fakes import fake_scene
from sphinx_framework.testing.pipeline import fake_engine
print(float(fake_engine().render(fake_scene()).images.sum()) > 0)
"""


@newer
@pytest.mark.parametrize("host", ["the newer one", "the newer one, of cuDNN"])
def test_a_host_may_use_the_newer_interface(host):
    code = RENDER.format(host=HOSTS[host])
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.stdout.strip() == "True", ended.stderr[-600:]
