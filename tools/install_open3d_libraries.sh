#!/bin/sh
# Installs the system libraries Open3D loads, and a Vulkan driver that renders without a GPU or a
# screen, where apt-get may be used; elsewhere says what to install. Says first what is missing and
# what apt-get would install and upgrade for it. Never fails: only Open3D's pictures and windows
# need them.
set -eu

[ "$(uname -s)" = Linux ] || exit 0

missing=
for package in libusb-1.0-0 libgl1 libx11-6 libgomp1 libvulkan1 mesa-vulkan-drivers; do
    if ! dpkg-query --show --showformat '${Status}' "$package" 2>/dev/null |
        grep -q 'ok installed'; then
        missing="$missing $package"
    fi
done
[ -n "$missing" ] || exit 0
echo "Open3D's windows and renderings need system libraries that are missing:$missing"

as_root=
[ "$(id -u)" = 0 ] || as_root="sudo --non-interactive"

# $as_root and $missing are lists of words.
say_plan() {
    plan=$(apt-get --simulate --no-install-recommends install $missing) || return
    upgraded=$(echo "$plan" | sed -n 's/^Inst \([^ ]*\) \[.*/\1/p')
    echo "apt-get installs:" $(echo "$plan" | sed -n 's/^Inst \([^ ]*\) (.*/\1/p')
    echo "apt-get upgrades:" ${upgraded:-nothing}
}
if ! { command -v apt-get >/dev/null &&
    $as_root true 2>/dev/null &&
    $as_root apt-get --quiet update &&
    say_plan &&
    $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get --quiet --yes --no-install-recommends install $missing; }; then
    echo "apt-get could not be used: install these system libraries, by their Debian names, when" \
        "you can:$missing" >&2
fi
