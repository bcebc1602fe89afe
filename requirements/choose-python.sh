#!/bin/sh
# Prints the Python that Curfew's environment is made with: $1 if it is given, else the first of those below that is of a
# supported version and has the module venv. Says what is missing, and ends with code 1, if there is none.
facts='import sys; print("%d.%d" % sys.version_info[:2], int(not (3, 11) <= sys.version_info[:2] <= (3, 14)))'
without_venv="" others=""
for name in ${1:-python3 python3.14 python3.13 python3.12 python3.11}; do
  found=$("$name" -c "$facts" 2>/dev/null) || continue  # also pyenv's names of versions that are not chosen
  version=${found% *}
  if [ "${found#* }" != 0 ]; then
    others="$others $name (Python $version)"
  elif "$name" -c 'import venv, ensurepip' 2>/dev/null; then
    echo "$name"
    exit 0
  else
    without_venv="${without_venv:-$version}"
  fi
done
if [ -n "$without_venv" ]; then
  echo "Python $without_venv is here without its module venv. Debian and Ubuntu have it as python$without_venv-venv:" >&2
  echo "  sudo apt install python$without_venv-venv" >&2
elif [ -n "$1" ] && [ -z "$others" ]; then
  echo "$1 is missing, or is no Python: install Python 3.11 to 3.14, or name one with PYTHON=..." >&2
else
  echo "Curfew needs Python 3.11, 3.12, 3.13 or 3.14.${others:+ Found only$others.} Install one of them, or name it with PYTHON=..." >&2
fi
exit 1
