#!/usr/bin/env bash
# Takes an installation away, with all runs and data in it.
#
#   infra/destroy.sh --name NAME [--yes]
#
# The vault, and blobs for a week, can be brought back by Azure; everything else is gone.
# shellcheck source=infra/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

name="" yes=false
while (($#)); do
    case "$1" in
        --name)
            (($# > 1)) || die "--name needs a value."
            name="$2"
            shift 2
            ;;
        --yes) yes=true && shift ;;
        -h | --help) sed -n '2,/^# shellcheck/p' "${BASH_SOURCE[0]}" | sed '$d; s/^# \{0,1\}//' && exit 0 ;;
        *) die "There is no option $1." "Run '$0 --help'." ;;
    esac
done
[[ -n "$name" ]] || die "--name is missing." "Run '$0 --help'."
check_name "$name"
signed_in
group="rg-$name"

if ! az group exists --name "$group" | grep -qi true; then
    printf 'There is no %s.\n' "$group"
    exit 0
fi
owner="$(az group show --name "$group" --query 'tags.application' --output tsv)"
[[ "$owner" == millstream ]] || die "$group is not an installation of Millstream." "It has no tag application=millstream: delete it by hand if it is yours."
if ! "$yes"; then
    [[ -t 0 ]] || die "Nobody is here to be asked." "Give --yes."
    read -r -p "This deletes $group with all its data. Type the name to go on: " typed
    [[ "$typed" == "$name" ]] || die "That was not the name: nothing was deleted."
fi
say "deleting $group"
az group delete --name "$group" --yes --output none
if az deployment sub show --name "millstream-$name" --output none 2>/dev/null; then
    az deployment sub delete --name "millstream-$name" --output none
fi
printf '%s is gone.\n' "$group"
