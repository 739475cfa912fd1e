#!/usr/bin/env bash
# Tells the app of new blobs: waits until the host knows its blob triggers, then makes the subscriptions of Event Grid.
#
#   infra/events.sh GROUP APP TOPIC CONTAINER FOLDER[,FOLDER...]
# shellcheck source=infra/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

(($# == 5)) || die "usage: $0 GROUP APP TOPIC CONTAINER FOLDER[,FOLDER...]"
group="$1" app="$2" topic="$3" container="$4" folders="$5"
needs python3 "Install Python 3.11 or newer."

# The names of the functions, as the app makes them: a JSON list, and then a line for each.
told="$(
    cd -- "$ROOT"
    python3 - "$container" "$folders" <<'END'
import json, sys
from orchestrator.triggers.naming import watcher
container, folders = sys.argv[1:]
names = [watcher(f"{container}/{folder.strip()}") for folder in folders.split(",")]
print(json.dumps(names), *names, sep="\n")
END
)"
names="${told%%$'\n'*}"

indexed() {
    local known
    known="$(az functionapp function list --resource-group "$group" --name "$app" --query '[].name' --output tsv 2>/dev/null)" || return 1
    while read -r name; do
        grep -qE "(^|/)$name\$" <<<"$known" || return 1
    done <<<"${told#*$'\n'}"
}
until_true "${MILLSTREAM_WAIT_SECONDS:-600}" "The indexing of the functions of $app" indexed

az deployment group create --resource-group "$group" --name millstream-events --template-file "$INFRA/events.bicep" \
    --parameters appName="$app" topicName="$topic" dataContainer="$container" watchedFolders="$folders" functionNames="$names" \
    --output none
