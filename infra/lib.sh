# Sourced by the scripts beside it: what they share.
# shellcheck shell=bash
set -euo pipefail

INFRA="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)"
# shellcheck disable=SC2034 # for those who source this
ROOT="$(dirname -- "$INFRA")"

say() { printf '\n== %s\n' "$*"; }

die() { # die WHAT [WHAT TO DO]
    printf 'error: %s\n' "$1" >&2
    [[ -z "${2:-}" ]] || printf '       %s\n' "$2" >&2
    exit 1
}

needs() { # needs COMMAND HOW_TO_GET_IT
    command -v "$1" >/dev/null 2>&1 || die "$1 is not on PATH." "$2"
}

check_name() { # check_name NAME
    [[ "$1" =~ ^[a-z][a-z0-9-]{0,22}[a-z0-9]$ ]] ||
        die "'$1' cannot be the name of an installation." "Use 2 to 24 lower-case letters, digits and dashes; a letter first."
}

signed_in() {
    needs az "Install the Azure CLI: https://aka.ms/azure-cli"
    az account show --output none 2>/dev/null || die "You are not signed in to Azure." "Run 'az login', and 'az account set --subscription ...'."
}

until_true() { # until_true SECONDS WHAT COMMAND...: repeats the command until it succeeds, or its time is over
    local deadline=$((SECONDS + $1)) what="$2"
    shift 2
    until "$@"; do
        ((SECONDS < deadline)) || die "$what did not happen in time." "Run this again: what is done already is not done twice."
        sleep "${MILLSTREAM_POLL_SECONDS:-10}"
    done
}

content_of() { # content_of PATH...: a short sum over the files there, which changes when any of them does
    needs python3 "Install Python 3.11 or newer."
    python3 - "$ROOT" "$@" <<'END'
import hashlib, pathlib, sys
root, *names = sys.argv[1:]
total = hashlib.sha256()
for name in names:
    place = pathlib.Path(root, name)
    files = [place] if place.is_file() else sorted(place.rglob("*"))
    for file in files:
        if file.is_file() and "__pycache__" not in file.parts:
            total.update(f"{file.relative_to(root)} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
print(total.hexdigest()[:12])
END
}
