# Sourced by the scripts beside it: says what it does, and installs what is missing.
# shellcheck shell=bash

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD_PACKAGES=(libssl-dev libsrtp2-dev libopus-dev libspeexdsp-dev pkg-config)
TRAIT_PACKAGES=(libc-ares-dev libasound2-dev)
SOUND_PACKAGES=(libasound2-plugins pulseaudio pulseaudio-utils faketime)
PEER_PACKAGES=(baresip-core linphone-cli sip-tester kamailio kamailio-tls-modules kamailio-websocket-modules
  kamailio-outbound-modules coturn tshark python3 python3-venv iproute2 libopus0 openssl chromium
  gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad python3-gi gir1.2-gstreamer-1.0)
PYTHON_PACKAGES=(pesq pystoi numpy scipy soundfile pylibsrtp pyOpenSSL cffi aiortc)
VENV=$ROOT/.build-venv
# How .build-release is built; a build with other flags there would begin anew.
RELEASE_FLAGS=(-c release -Xswiftc -enable-testing -debug-info-format none)

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }

# fail CODE SENTENCE: ends the script.
fail() {
  printf '%s\n' "$2" >&2
  exit "$1"
}

# as_root COMMAND...: runs it as root, through sudo if need be.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else return 69; fi
}

# What runs the interop scripts, which need root for their network namespaces: with these variables, and this PATH.
interop_runner=(env)
[ "$(id -u)" = 0 ] || interop_runner=(sudo --preserve-env=APUS,APUS_AHEAD,APUS_TRAITS,APUS_LONG,KEEP env "PATH=$PATH")

# install_packages NAME...: installs the Debian packages that are missing.
install_packages() {
  local missing=() name
  for name in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
  done
  [ ${#missing[@]} = 0 ] && return
  command -v apt-get >/dev/null ||
    fail 69 "These packages are missing, and there is no apt-get to install them: ${missing[*]}."
  say "installing ${missing[*]}"
  local install=(env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}")
  as_root "${install[@]}" >&2 || { as_root apt-get update -q >&2 && as_root "${install[@]}" >&2; } ||
    fail 69 "Could not install ${missing[*]}: run 'apt-get install ${missing[*]}' as root."
}

# require_swift: ends the script unless Swift is there and new enough.
require_swift() {
  local version
  command -v swift >/dev/null ||
    fail 69 "Swift 6.2 or newer is needed and there is none: get it from https://www.swift.org/install/linux."
  version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p' | head -1)
  [ "$(printf '%s\n' 6.2 "${version:-0}" | sort -V | head -1)" = 6.2 ] ||
    fail 69 "Swift 6.2 or newer is needed, this is ${version:-unknown}: get it from https://www.swift.org/install/linux."
}

# share_objects: from now on builds take from each other what is the same in all of them (Scripts/cc).
share_objects() {
  APUS_CLANG=$(dirname "$(readlink -f "$(command -v swift)")")/clang
  [ -x "$APUS_CLANG" ] || return 0
  # Other compilers and headers make other objects.
  APUS_TOOLS=$("$APUS_CLANG" --version && dpkg-query -W libc6-dev 'libstdc++-*-dev' 2>/dev/null) || true
  export APUS_CLANG APUS_TOOLS CC=$ROOT/Scripts/cc
}

# prepare_python: makes the virtual environment of the interop tests.
prepare_python() {
  local wanted="${PYTHON_PACKAGES[*]}"
  [ "$(cat "$VENV/installed" 2>/dev/null)" = "$wanted" ] && return
  say "preparing $VENV ($wanted)"
  { python3 -m venv "$VENV" && "$VENV/bin/pip" install -q --disable-pip-version-check "${PYTHON_PACKAGES[@]}"; } >&2 ||
    fail 69 "Could not prepare $VENV with $wanted: is PyPI reachable?"
  printf '%s' "$wanted" >"$VENV/installed"
}
