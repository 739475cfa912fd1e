#!/usr/bin/env bash
# Brings Millstream to Azure, or a new version of it; running it again changes what has changed.
#
#   infra/deploy.sh --name NAME --location REGION [options]
#
#   --audience ID        client id of the app registration whose tokens open the service (docs/security.md)
#   --token-sha256 SUM   sha256 of a bearer token that opens it, too
#   --functions-key-role ROLE   ask every caller for a key of the Functions app, which has this role: Reader, ..., Owner
#   --alert-mail MAIL    who hears of alerts
#   --budget AMOUNT      money a month after which a mail warns
#   --watch FOLDERS      folders whose new blobs start runs, separated by commas (default: incoming)
#   --private            no public network but the app's own address
#   --no-containers      functions only: no registry, no container jobs
#   --dry-run            show what would change, and stop
# shellcheck source=infra/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

name="" location="" audience="" token_sha256="" functions_key_role="" alert_mail="" budget=0 watch=incoming private=false containers=true dry_run=false

usage() { sed -n '2,/^# shellcheck/p' "${BASH_SOURCE[0]}" | sed '$d; s/^# \{0,1\}//'; }

while (($#)); do
    case "$1" in
        --name | --location | --audience | --token-sha256 | --functions-key-role | --alert-mail | --budget | --watch)
            (($# > 1)) || die "$1 needs a value."
            option="${1#--}"
            printf -v "${option//-/_}" '%s' "$2"
            shift 2
            ;;
        --private) private=true && shift ;;
        --no-containers) containers=false && shift ;;
        --dry-run) dry_run=true && shift ;;
        -h | --help) usage && exit 0 ;;
        *) die "There is no option $1." "Run '$0 --help'." ;;
    esac
done
[[ -n "$name" ]] || die "--name is missing." "Run '$0 --help'."
[[ -n "$location" ]] || die "--location is missing." "'az account list-locations' names the regions."
check_name "$name"
[[ -n "$audience$token_sha256$functions_key_role" ]] ||
    die "Nobody could open the service." "Give --audience, --token-sha256 or --functions-key-role."
[[ "$functions_key_role" =~ ^(|Reader|Submitter|Operator|Owner)$ ]] ||
    die "--functions-key-role is no role." "It is Reader, Submitter, Operator or Owner."
[[ -z "$token_sha256" || "$token_sha256" =~ ^[0-9a-f]{64}(,[0-9a-f]{64})*$ ]] ||
    die "--token-sha256 is not a sha256 sum." "Make one: printf %s \"\$TOKEN\" | sha256sum"
[[ "$budget" =~ ^[0-9]+$ ]] || die "--budget is not a whole number."
signed_in
group="rg-$name"
tag="$(content_of azurerest millstream orchestrator steps requirements.txt infra/worker)"

# The keys are made once: made again, they would end every token and secret that was made with them.
has_keys() {
    local vault
    vault="$(az keyvault list --resource-group "$group" --query '[0].id' --output tsv 2>/dev/null)" && [[ -n "$vault" ]] || return 1
    for key in run-token-key webhook-key secret-key; do
        az rest --method get --url "https://management.azure.com$vault/secrets/$key?api-version=2025-05-01" --output none 2>/dev/null || return 1
    done
}

# A vault that was deleted keeps its name for some days: it has to be taken back.
deleted_vault() {
    local found
    found="$(az keyvault list-deleted --query "[?contains(properties.vaultId, '/resourceGroups/$group/')].name | [0]" --output tsv 2>/dev/null)" && [[ -n "$found" ]]
}

principal="$(az ad signed-in-user show --query id --output tsv 2>/dev/null || true)"
create_keys=true recover=false image=""
if has_keys; then create_keys=false; elif deleted_vault; then recover=true create_keys=false; fi

deploy_all() { # deploy_all COMMAND: create or what-if, with the image that is known
    az deployment sub "$1" --name "millstream-$name" --location "$location" --template-file "$INFRA/main.bicep" \
        --parameters environmentName="$name" location="$location" principalId="$principal" audience="$audience" \
        tokenSha256="$token_sha256" functionsKeyRole="$functions_key_role" private="$private" containers="$containers" createKeys="$create_keys" \
        recoverVault="$recover" workerImage="$image" watchedFolders="$watch" alertMail="$alert_mail" monthlyBudget="$budget" \
        "${@:2}"
}

output() { # output NAME: an output of the deployment
    az deployment sub show --name "millstream-$name" --query "properties.outputs.$1.value" --output tsv
}

if "$dry_run"; then
    say "what would change"
    deploy_all what-if
    exit 0
fi

say "package"
"$ROOT/scripts/package"

say "resources of $name in $location"
registry=""
if "$containers" && az group exists --name "$group" | grep -qi true; then
    registry="$(az acr list --resource-group "$group" --query '[0].loginServer' --output tsv)"
fi
image_there() { [[ -n "$registry" ]] && az acr repository show --name "${registry%%.*}" --image "worker:$tag" --output none 2>/dev/null; }
if image_there; then image="$registry/worker:$tag"; fi
deploy_all create --output none
create_keys=false recover=false # they are there now
app="$(output MILLSTREAM_APP)"
url="$(output MILLSTREAM_URL)"

if "$containers" && [[ -z "$image" ]]; then
    registry="$(output AZURE_CONTAINER_REGISTRY_ENDPOINT)"
    say "worker image"
    az acr build --registry "${registry%%.*}" --image "worker:$tag" --file "$INFRA/worker/Dockerfile" --only-show-errors --output none "$ROOT"
    image="$registry/worker:$tag"
    deploy_all create --output none
fi

say "code"
az functionapp deployment source config-zip --resource-group "$group" --name "$app" --src "$ROOT/dist/millstream.zip" \
    --build-remote false --only-show-errors --output none

say "events"
"$INFRA/events.sh" "$group" "$app" "$(output MILLSTREAM_EVENTS_TOPIC)" "$(output MILLSTREAM_DATA_CONTAINER)" "$watch"

say "is it there?"
healthy() { curl --fail --silent --show-error --max-time 30 --output /dev/null "$url/api/health"; }
until_true "${MILLSTREAM_WAIT_SECONDS:-600}" "An answer of $url/api/health" healthy
printf '\nMillstream is at %s\n' "$url"
