"""The script that installs Open3D's system libraries says first what it would do."""

import shutil
import subprocess
from pathlib import Path

import pytest

from pc_crvae.utils.resources import checkout_folder

CHECKOUT = checkout_folder()
pytestmark = pytest.mark.skipif(CHECKOUT is None, reason="an installed package has no tools")

PLAN = """\
NOTE: This is only a simulation!
Inst libc6 [2.36-9] (2.36-10 Debian:12.5/stable [amd64])
Inst libllvm15 (1:15.0.6 Debian:12.5/stable [amd64])
Inst libgl1 (1.6.0-1 Debian:12.5/stable [amd64])
Conf libgl1 (1.6.0-1 Debian:12.5/stable [amd64])
"""


def run(tmp_path: Path, installed: str, apt_get: str | None) -> tuple[str, list[str]]:
    """What the script prints, and the calls of apt-get, on a machine of scripts."""
    log = tmp_path / "log"
    log.touch()
    programs = {
        "uname": "echo Linux",
        "id": "echo 0",
        "dpkg-query": f'for last; do :; done; case " {installed} " in *" $last "*) '
        'echo "install ok installed";; *) exit 1;; esac',
    }
    if apt_get is not None:
        programs["apt-get"] = f'echo "$*" >> {log}; {apt_get}'
    for name, body in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    for name in ("sh", "sed", "grep", "env"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    done = subprocess.run(
        [tmp_path / "sh", CHECKOUT / "tools" / "install_open3d_libraries.sh"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout + done.stderr, log.read_text().splitlines()


def test_what_is_missing_installed_and_upgraded_is_said_before_it_is_installed(tmp_path):
    apt_get = (
        f"case $* in *--simulate*) cat <<'X'\n{PLAN}X\n;; *install*) echo installing;; esac"
    ).replace("cat", 'while read -r line; do echo "$line"; done')
    text, calls = run(tmp_path, "libusb-1.0-0 libx11-6 libgomp1 libvulkan1", apt_get)
    lines = text.splitlines()
    assert lines[0].endswith("missing: libgl1 mesa-vulkan-drivers")
    assert lines[1:] == [
        "apt-get installs: libllvm15 libgl1",
        "apt-get upgrades: libc6",
        "installing",
    ]
    assert calls[-1].endswith("install libgl1 mesa-vulkan-drivers")


def test_where_nothing_is_missing_nothing_is_said_or_done(tmp_path):
    all_of_them = "libusb-1.0-0 libgl1 libx11-6 libgomp1 libvulkan1 mesa-vulkan-drivers"
    assert run(tmp_path, all_of_them, "true") == ("", [])


@pytest.mark.parametrize("apt_get", [None, "false"], ids=["without apt-get", "apt-get fails"])
def test_where_apt_get_cannot_be_used_the_libraries_are_named(tmp_path, apt_get):
    text, _ = run(tmp_path, "libgl1", apt_get)
    assert text.splitlines()[-1].endswith(
        "you can: libusb-1.0-0 libx11-6 libgomp1 libvulkan1 mesa-vulkan-drivers"
    )
