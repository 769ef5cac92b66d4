#!/bin/sh
# Installs a package with its programs from PyPI into a folder, with whichever of pip, uv and venv is there:
#
#   pip_install.sh FOLDER NAME==VERSION [PLATFORM]
#
# The package's programs are then in FOLDER/bin/. PLATFORM (manylinux_2_28_aarch64) takes the package of another machine.
set -eu
export PIP_ROOT_USER_ACTION=ignore
folder=$1
requirement=$2
platform=${3:-}

command -v python3 >/dev/null || {
  echo "python3 is not installed" >&2
  exit 1
}

if python3 -m pip --version >/dev/null 2>&1; then
  set -- python3 -m pip install --target "$folder" --disable-pip-version-check --retries 1 --timeout 20
elif command -v uv >/dev/null; then
  set -- uv pip install --target "$folder"
  # uv names the same platform the other way round: aarch64-manylinux_2_28.
  [ -z "$platform" ] || set -- "$@" --python-platform "${platform#manylinux_*_*_}-${platform%_"${platform#manylinux_*_*_}"}"
elif python3 -m venv "$folder" >/dev/null 2>&1; then
  set -- "$folder/bin/python3" -m pip install --disable-pip-version-check --retries 1 --timeout 20
  # pip takes the package of another platform only into a folder that it is told.
  [ -z "$platform" ] || set -- "$@" --target "$folder"
else
  echo "neither pip nor uv is installed, and python3 -m venv does not work" >&2
  exit 1
fi
[ -z "$platform" ] || case $1 in
  uv) ;;
  *) set -- "$@" --platform "$platform" ;;
esac
exec "$@" --quiet --no-deps --only-binary :all: "$requirement" >&2
