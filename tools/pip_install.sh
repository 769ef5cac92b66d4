#!/bin/sh
# Installs a package with its binaries from PyPI into a folder, with what there is of pip, uv and venv:
#
#   pip_install.sh FOLDER NAME==VERSION
#
# The package's programs are then in FOLDER/bin/.
set -eu
export PIP_ROOT_USER_ACTION=ignore
folder=$1
requirement=$2

command -v python3 >/dev/null || {
  echo "there is no python3" >&2
  exit 1
}

if python3 -m pip --version >/dev/null 2>&1; then
  set -- python3 -m pip install --target "$folder" --disable-pip-version-check --retries 1 --timeout 20
elif command -v uv >/dev/null; then
  set -- uv pip install --target "$folder"
elif python3 -m venv "$folder" >/dev/null 2>&1; then
  set -- "$folder/bin/python3" -m pip install --disable-pip-version-check --retries 1 --timeout 20
else
  echo "there is neither pip nor uv, and python3 -m venv does not work" >&2
  exit 1
fi
exec "$@" --quiet --no-deps --only-binary :all: "$requirement" >&2
